"""Files of lists that were written on another machine."""

import re
from collections.abc import Iterator
from pathlib import Path

from datamodules.audio.search import names_in
from datamodules.protocol import ProtocolError


def the_list(root: Path, name: str | None, *, title: str) -> Path:
    """The list in a folder: that of the name, or the only CSV file.

    Raises:
        ProtocolError: None is there, or there are several.
    """
    if name is not None:
        return root / name
    found = sorted(root.glob("*.csv"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found[:5]) or "none"
        raise ProtocolError(
            f"{root}: {len(found)} CSV files ({names}) where the list of {title} was expected: name it,"
            f" {{corpus: …, root: {root}, list: FILE}}"
        )
    return found[0]


def with_our_slashes(name: str) -> str:
    """A path with slashes, without Windows' letter of the drive."""
    return re.sub(r"^[A-Za-z]:(?=[\\/])", "", name).replace("\\", "/")


class FilesBelow:
    """Finds files below a folder by paths that were those of another machine.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._found: dict[str, list[tuple[str, set[str]]]] = {}

    def path(self, name: str) -> str:
        """The file whose path below the root is the longest end of `name`; one that is not there by its name alone."""
        folder, _, file = name.rpartition("/")
        if folder not in self._found:
            self._found[folder] = list(self._folders(folder))
        places = (place for place, names in self._found[folder] if file in names)
        return f"{next(places, self._root)}/{file}"

    def _folders(self, folder: str) -> Iterator[tuple[str, set[str]]]:
        """Those that a listed one may be, the longest path first, and the names of their files."""
        parts = [part for part in folder.split("/") if part not in {"", "."}]
        for dropped in range(len(parts) + 1):
            place = "/".join((self._root, *parts[dropped:]))
            if names := names_in(place):
                yield place, names
