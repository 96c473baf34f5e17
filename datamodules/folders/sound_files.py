"""Which sounds there are in a folder, in folders of classes or in a list of tags, and which are alike."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from datamodules.audio.search import audio_files
from datamodules.clips.search import with_slashes
from datamodules.folders.near_duplicates import Survey, survey
from datamodules.protocol import Faults, ProtocolError, read_table

Part = Literal["train", "validation", "test"]
PARTS: Mapping[str, Part] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
"""Name of a folder, in small letters -> the split that it means."""


class Sound(NamedTuple):
    """A sound of a folder: its path in there, the part where the layout gives it, and its class or tags."""

    key: str
    part: Part | None
    labels: list[str]


class SoundFiles:
    """What an `AudioFolder` is made of: files of audio.

    Args:
        root: Folder that they lie in.
    """

    suffix = ""
    """What a file's name has behind the key of its sound."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def keys(self) -> Sequence[str]:
        """Every sound's path in the root, sorted."""
        return [path.relative_to(self.root).as_posix() for path in audio_files(self.root)]

    def has(self, key: str) -> bool:
        """Whether a sound that is listed takes part; a file that is absent does, to be left out by name."""
        return True

    def survey(self, keys: Sequence[str], threshold: float, *, allow_truncated: bool) -> Survey:
        """Listen to sounds for faults and for near duplicates, or remember what was heard."""
        paths = [f"{self.root}/{key}{self.suffix}" for key in keys]
        return survey(paths, threshold=threshold, allow_truncated=allow_truncated)


def sounds_in_folders(keys: Sequence[str]) -> Iterator[Sound]:
    """Sounds in folders of classes, or in such folders in those of a split; others are none."""
    for key in keys:
        *folders, _ = key.split("/")
        part = PARTS.get(folders[0].lower()) if folders else None
        if labels := folders[1:2] if part else folders[:1]:
            yield Sound(key, part, labels)


def tagged_sounds(path: Path, columns: Sequence[str]) -> Iterator[Sound]:
    """Sounds of a list, whose header names its columns.

    Raises:
        ProtocolError: With the file, the lines and the way out; of single lines behind the last.
    """
    rows = read_table(path)
    place, header = next(rows)
    for name in ("file", *columns):
        if name not in header:
            raise ProtocolError(
                f"{place}: no column {name!r}, found {', '.join(header)}: name its columns of tags"
            )
    known: set[str] = set()
    faults = Faults()
    for place, values in rows:
        row = dict(zip(header, values, strict=True))
        file = with_slashes(row["file"], path.parent)
        if file in known:
            faults.add(place, f"{file!r} occurs twice", "remove one of the lines")
        elif Path(file).is_absolute() or ".." in Path(file).parts:
            faults.add(place, f"{file!r} leads out of {path.parent}", "name files by their path within it")
        known.add(file)
        tags = {tag.strip() for column in columns for tag in row[column].split(";")}
        yield Sound(file, None, sorted(tags - {""}))
    faults.refuse()
