"""Lists of trials to predict on whose audio lies beside them: protocols of any challenge, ids alone, or tables."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from datamodules.audio.search import audio_files, is_audio
from datamodules.clips import Clip
from datamodules.clips.search import clips_to_predict, names_files
from datamodules.protocol import Faults, ProtocolError, lines

_LISTS = {".txt", ".tsv", ".csv"}
_NAMES = {"file", "file_name", "filename", "id", "key", "path", "trial", "utt", "utterance", "utterance_id"}
_TRIED = 100  # rows of which one should have its file


def clips_of_sources(
    sources: Sequence[str], of_trials: Callable[[Path], list[Clip]] | None = None
) -> list[Clip]:
    """Clips of audio files, folders and lists of files, see `clips_to_predict`, and of lists of trials.

    Args:
        sources: What is named.
        of_trials: Clips of a list of trials; None is `clips_beside`.

    Raises:
        ValueError: A list's audio is not beside it, or two clips have one key.
    """
    trials = [source for source in sources if _is_of_trials(Path(source))]
    clips = clips_to_predict([source for source in sources if source not in trials])
    for source in trials:
        clips += (of_trials or clips_beside)(Path(source))
    known: dict[str, str] = {}
    for clip in clips:
        if (other := known.setdefault(clip.key, clip.path)) != clip.path:
            raise ValueError(
                f"predict: {other} and {clip.path} both have the key {clip.key}: predict on one list after the other"
            )
    return list({clip.key: clip for clip in clips}.values())


def _is_of_trials(source: Path) -> bool:
    """Whether a file is a text that names trials rather than audio files, judged by its first two lines."""
    if source.suffix.lower() not in _LISTS or not source.is_file():
        return False
    with source.open(encoding="utf-8", errors="surrogateescape") as file:
        first, second = (file.readline(10_000).strip() for _ in range(2))
    if names_files(source):
        return not is_audio(first) and bool(second) and not any(map(is_audio, _values(second)))
    return len(_values(first)) > 1 or (bool(first) and not (source.parent / first).exists())


def clips_beside(path: Path) -> list[Clip]:
    """Unlabelled clips of a list whose audio lies in its folder or below; a key is what the list has.

    The column of the ids is the one that names a file there, with or without its folder and its ending; a first line of
    names of columns is passed over. A trial without a file is a clip all the same.

    Raises:
        ProtocolError: With the file, the line and the way out: no column names a file, columns are missing, an id comes
            twice or is that of two files.
    """
    files, rows = _Beside(path.parent), list(_rows(path))
    column = _column(path, files, rows)
    has_header = column < len(rows[0][1]) and rows[0][1][column].lower() in _NAMES
    faults, known, clips = Faults(), {}, []
    for place, values in rows[has_header:]:
        if column >= len(values):
            faults.add(place, f"{len(values)} columns where more were expected", "correct the line")
            continue
        key = values[column]
        if (before := known.setdefault(key, place)) != place:
            faults.add(place, f"{key} comes twice, first in {before}", "remove one of the lines")
            continue
        found = files.of(key)
        if len(found) > 1:
            what = f"{key} is {' and '.join(found[:2])}"
            faults.add(place, what, "put the list into the folder of the right one")
            continue
        clips.append(Clip(key, found[0] if found else f"{path.parent}/{key}"))
    faults.refuse()
    return clips


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    return ((place, _values(line)) for place, line in lines(path) if line.strip())


def _values(line: str) -> list[str]:
    """Values between tabs, commas, semicolons or white space, whichever of these the line has, in this order."""
    mark = next((mark for mark in "\t,;" if mark in line), None)
    return [value.strip().strip('"') for value in line.split(mark)]


def _column(path: Path, files: "_Beside", rows: Sequence[tuple[str, list[str]]]) -> int:
    """Column of the ids."""
    for _, values in rows[:_TRIED]:
        for column, value in enumerate(values):
            if files.of(value):
                return column
    raise ProtocolError(
        f"{path}:1: no column names a file of audio in {path.parent} or below: put the list beside its audio, or set"
        " data.root to the data set that it is of"
    )


class _Beside:
    """Files of audio in a folder and below, by their names."""

    def __init__(self, folder: Path) -> None:
        self._by_name: dict[str, list[str]] = {}
        for path in map(str, audio_files(folder)):
            self._by_name.setdefault(_without_ending(path.rpartition("/")[2]), []).append(path)

    def of(self, name: str) -> list[str]:
        """Files that a list's name or id may mean: those with the most folders in common."""
        name = name.replace("\\", "/")
        found = self._by_name.get(_without_ending(name.rpartition("/")[2]), [])
        if is_audio(name):
            found = [path for path in found if path.endswith(f"/{name.rpartition('/')[2]}")]
        ends = _without_ending(name).split("/")
        while len(found) > 1 and len(ends) > 1:
            if nearer := [path for path in found if _without_ending(path).endswith(f"/{'/'.join(ends)}")]:
                return nearer
            ends.pop(0)
        return found


def _without_ending(name: str) -> str:
    return re.sub(r"\.[^./]*$", "", name) if is_audio(name) else name
