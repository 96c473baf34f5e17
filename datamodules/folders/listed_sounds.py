"""Sounds that a list of a user's own names, or that lie in folders: where each stands, and what is said of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from datamodules.audio.search import audio_files
from datamodules.folders.sound_files import PARTS, Part
from datamodules.protocol import Faults, ProtocolError, read_named

IGNORED = "-"
"""What a level of folders is called that says nothing."""

SPLITS: Mapping[str, Part] = {
    **PARTS,
    "training": "train",
    "trn": "train",
    "dev": "validation",
    "eval": "test",
    "evaluation": "test",
}
"""Name of a folder or value of a list, in small letters -> the split that it means."""


class ListedSound(NamedTuple):
    """One row of a list, or one file of a folder.

    Attributes:
        place: ``file:line`` of the row for messages, or the file.
        values: Column, by the name that `ClipList` knows it by, -> value; ``path`` is one of them.
    """

    place: str
    values: dict[str, str]


def sounds_of_list(
    path: Path, columns: Mapping[str, str], *, header: Sequence[str] | None = None
) -> Iterator[ListedSound]:
    """Rows of a list.

    Args:
        path: The list.
        columns: Our name of a column -> that of the list.
        header: Names of the columns of a list without them.

    Raises:
        ProtocolError: As `read_named`, and if a column of `columns`, or one of paths, is missing.
    """
    ours = {theirs: name for name, theirs in columns.items()}
    is_first = True
    for place, row in read_named(path, header=header):
        if is_first:
            _require_columns(path, list(row), columns)
            is_first = False
        yield ListedSound(place, {ours.get(name, name): value for name, value in row.items()})
    if is_first:
        raise ProtocolError(f"{path}: names no file below its header: correct the list")


def _require_columns(path: Path, found: Sequence[str], columns: Mapping[str, str]) -> None:
    for name, theirs in columns.items():
        if theirs not in found:
            near = get_close_matches(theirs, found, n=1)
            hint = f" ({near[0]}?)" if near else ""
            raise ProtocolError(
                f"{path}: has no column {theirs!r}{hint}, which data.columns names for {name}, but"
                f" {', '.join(found)}: correct data.columns"
            )
    if "path" not in columns and "path" not in found:
        raise ProtocolError(
            f"{path}: no column is named path, but {', '.join(found)}: say which names the files, with"
            " data.columns='{path: COLUMN, label: COLUMN}', and name the columns of a list without a header in"
            " data.header"
        )


def sounds_of_folder(folder: Path, levels: Sequence[str] | None, *, root: Path) -> Iterator[ListedSound]:
    """Files of audio below a folder.

    Args:
        folder: Where they lie.
        root: What their paths are relative to, where the folder lies in it.
        levels: What the names of folders say, from above, such as ``[machine, split, label]``; of files that lie less
            deep the last ones are unknown. None is ``[label]``, or ``[split, label]`` in folders named as splits are.

    Raises:
        ProtocolError: If there is no file.
    """
    found = audio_files(folder)
    if not found:
        reason = "no file of audio in it" if folder.is_dir() else "no such folder or list"
        raise ProtocolError(f"{folder}: {reason}: correct data.root, data.list or data.splits")
    for path in found:
        *names, _ = path.relative_to(folder).parts
        named = levels
        if named is None:
            named = ("split", "label") if names and names[0].lower() in SPLITS else ("label",)
        values = {level: name for level, name in zip(named, names, strict=False) if level != IGNORED}
        listed = path.relative_to(root) if path.is_relative_to(root) else path.absolute()
        yield ListedSound(str(path), values | {"path": listed.as_posix()})


def part_of(sound: ListedSound, names: Mapping[str, str], faults: Faults) -> Part | None:
    """The split that a sound is said to be of; None where nothing is said, or what is none.

    Args:
        sound: The sound.
        names: The list's own name of a split -> train, validation or test.
        faults: Where a name that is none of a split is noted.
    """
    named = sound.values.get("split", "")
    if not named:
        return None
    part = SPLITS.get(names.get(named, named).lower())
    if part is None:
        faults.add(
            sound.place,
            f"split {named!r} is neither train, validation nor test",
            f"correct it, or say which it is with data.split_names='{{{named}: test}}'",
        )
    return part


def with_splits(
    rows: Iterable[ListedSound], files: Mapping[Part, Path], *, of: Path
) -> Iterator[ListedSound]:
    """Rows of a list with the splits that files of paths say, one path a line; the others are of training.

    Args:
        rows: Of the list.
        files: Split -> its file.
        of: The list, for messages.

    Raises:
        ProtocolError: As `read_named`, and if a path is named twice, or is not in the list.
    """
    said = _paths_of_splits(files)
    unused = dict(said)
    for place, values in rows:
        unused.pop(values["path"], None)
        part, _ = said.get(values["path"], ("train", ""))
        yield ListedSound(place, values | {"split": part})
    faults = Faults()
    for path, (_, place) in unused.items():
        faults.add(place, f"{path} is not in {of}", "write it as it is there")
    faults.refuse()


def _paths_of_splits(files: Mapping[Part, Path]) -> dict[str, tuple[str, str]]:
    """Path -> split, and the place that says so."""
    found: dict[str, tuple[str, str]] = {}
    faults = Faults()
    for part, file in files.items():
        for place, row in read_named(file, header=["path"]):
            if row["path"] in found:
                other, before = found[row["path"]]
                what = f"{row['path']} is in {before} already, of {other}"
                faults.add(place, what, "remove one of the lines")
            found[row["path"]] = (part, place)
    faults.refuse()
    return found
