"""Files behind clips: which are absent, and clips of what is named for prediction."""

import csv
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from datamodules.audio.errors import CHECK_COMMAND, AudioError
from datamodules.audio.names import printable
from datamodules.audio.reading import SUFFIXES
from datamodules.audio.search import audio_files, is_audio, names_in
from datamodules.clips.table import Clip
from datamodules.protocol import BOM

PATH_COLUMNS = ("path", "file", "filename")
"""Names of a table's column of files."""


def missing_files(clips: Iterable[Clip]) -> list[Clip]:
    """Clips whose file is absent, found by one listing a folder rather than one look-up a file."""
    listings: dict[str, set[str]] = {}
    missing = []
    for clip in clips:
        folder, name = os.path.split(clip.path)
        if folder not in listings:
            listings[folder] = names_in(folder)
        if name not in listings[folder]:
            missing.append(clip)
    return missing


def with_slashes(name: str, folder: str | Path) -> str:
    """A path as a list has it, relative to `folder` or absolute; with slashes where Windows wrote it with backslashes.

    Elsewhere a file may have backslashes in its name, and keeps them if there is one.
    """
    if "\\" not in name or os.path.lexists(os.path.join(folder, name)):  # noqa: PTH118  quicker
        return name
    return name.replace("\\", "/")


def require_files(clips: Sequence[Clip]) -> None:
    """Refuse a split of which files are absent.

    Raises:
        AudioError: With the first of them and their number.
    """
    if missing := missing_files(clips):
        raise AudioError(
            f"{missing[0].path}: no such file, and {len(missing)} of {len(clips)} files of its split are"
            f" missing: unpack the audio there or correct the data root ({CHECK_COMMAND})"
        )


def clips_to_predict(sources: Iterable[str | Path]) -> list[Clip]:
    """Unlabelled clips of audio files, folders (searched in depth), ``.txt`` lists and ``.csv`` or ``.tsv`` tables.

    The key of a file says where it is in what was named, whatever else is named: its path in the folder, the line of
    the list, or its name, without its ending where no other file there has that key. Lists and tables name files from
    where they lie; a table has a header with a column `PATH_COLUMNS`. What is missing of a list is a clip all the same.

    Raises:
        ValueError: If a source does not exist, a folder holds no audio, a table has no column of paths, or two files
            have one key.
    """
    clips: dict[str, Clip] = {}  # by path: a file that is named twice is one
    known: dict[str, str] = {}
    for source in sources:
        found = list(dict.fromkeys(_audio_files(Path(source))))
        shared = Counter(_without_ending(name) for name, _ in found)
        for name, path in found:
            short = _without_ending(name)
            key = printable(short if shared[short] == 1 else name)
            if str(path) in clips:
                continue
            if (other := known.setdefault(key, str(path))) != str(path):
                raise ValueError(
                    f"predict: {printable(other)} and {printable(str(path))} both have the key {key}: name a folder"
                    " above both, or a .txt list of their paths, for keys are paths in what is named"
                )
            clips[str(path)] = Clip(key=key, path=str(path))
    return list(clips.values())


def names_files(source: Path) -> bool:
    """Whether a text is a list of audio files, or a table with a column of such, judged by its first line."""
    with source.open("rb") as file:
        first = os.fsdecode(file.readline(10_000).removeprefix(BOM)).strip()
    columns = first.split(_delimiter(source, first))
    return is_audio(first) or any(name.strip() in PATH_COLUMNS for name in columns)


def _delimiter(table: Path, header: str) -> str:
    """What stands between columns: tabs of ``.tsv``, else commas, or semicolons as where these are decimal points."""
    if table.suffix.lower() == ".tsv":
        return "\t"
    return ";" if ";" in header and "," not in header else ","


def _without_ending(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _audio_files(source: Path) -> Iterator[tuple[str, Path]]:
    """Name in the source, with slashes, and path of every file."""
    if source.is_dir():
        found = audio_files(source)
        if not found:
            raise ValueError(
                f"predict: no audio file in folder {source}: name a folder with {sorted(SUFFIXES)}"
            )
        for path in found:
            yield path.relative_to(source).as_posix(), path
    elif source.name not in names_in(source.parent):
        raise ValueError(
            f"predict: {source} does not exist: name audio files, folders, or .txt lists of paths"
        )
    elif source.suffix.lower() in {".txt", ".csv", ".tsv"}:
        for name in _listed(source):
            name = with_slashes(name, source.parent)
            yield PurePosixPath(name).as_posix(), source.parent / name
    else:
        yield source.name, source


def _listed(source: Path) -> Iterator[str]:
    """Names of a list or table; bytes that are no UTF-8 are those of a file's name."""
    lines = os.fsdecode(source.read_bytes().removeprefix(BOM)).splitlines()
    if source.suffix.lower() == ".txt":
        yield from (line.strip() for line in lines if line.strip())
        return
    table = csv.DictReader(lines, delimiter=_delimiter(source, lines[0] if lines else ""))
    columns = [name.strip() for name in table.fieldnames or ()]
    column = next((name for name in PATH_COLUMNS if name in columns), None)
    if column is None:
        raise ValueError(
            f"{source}:1: no column is named {' or '.join(PATH_COLUMNS)}, but {', '.join(columns) or 'nothing'}: name"
            " that of the files so"
        )
    table.fieldnames = columns
    for row in table:
        if not (name := (row[column] or "").strip()):
            raise ValueError(f"{source}:{table.line_num}: no file is named: correct the line")
        yield name
