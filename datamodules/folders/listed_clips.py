"""From what a list says of a sound to its clip: the file, the times, the id, and that none is there twice."""

import math
import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from datamodules.audio.search import is_audio, names_in
from datamodules.clips.search import with_slashes
from datamodules.folders.listed_sounds import ListedSound
from datamodules.folders.sound_files import Part
from datamodules.protocol import Faults


class ListedClip(NamedTuple):
    """What a row of a list says.

    Attributes:
        place: ``file:line`` of the row for messages, or the file.
        labels: Its label, or its tags.
        part: The split that it is said to be of.
        path: The file.
        key: The id.
        start_s: Where it begins in its file, in seconds.
        stop_s: Where it ends; None is the end of the file.
    """

    place: str
    labels: list[str]
    part: Part | None
    path: str
    key: str
    start_s: float
    stop_s: float | None


class FilePaths:
    """Finds the files of a list.

    Args:
        root: Folder that paths are relative to.
        roots: Name in the column ``root`` -> folder.
    """

    def __init__(self, root: Path, roots: Mapping[str, str]) -> None:
        self._root, self._roots = os.fspath(root), roots
        self._listings: dict[str, dict[str, str]] = {}

    def as_here(self, sound: ListedSound) -> ListedSound:
        """A sound whose path has slashes, see `with_slashes`."""
        path = sound.values["path"]
        if (ours := with_slashes(path, self._folder(sound))) == path:
            return sound
        return sound._replace(values=sound.values | {"path": ours})

    def of(self, sound: ListedSound) -> str:
        """Path of a sound, whose name may lack its ending; one that is not there as it is listed."""
        path = os.path.join(self._folder(sound), sound.values["path"])  # noqa: PTH118  quicker
        if is_audio(path):
            return path
        folder, name = os.path.split(path)
        return f"{folder}/{self._names_in(folder).get(name, name)}"

    def _folder(self, sound: ListedSound) -> str:
        folder = sound.values.get("root", "")
        return os.path.join(self._root, self._roots.get(folder, folder))  # noqa: PTH118  quicker

    def _names_in(self, folder: str) -> dict[str, str]:
        """Names of a folder's files, and of those of audio without their endings -> name; listed once."""
        if folder not in self._listings:
            names = sorted(names_in(folder), reverse=True)
            stems = {name.rpartition(".")[0]: name for name in names if is_audio(name)}
            self._listings[folder] = stems | {name: name for name in names}
        return self._listings[folder]


def times(sound: ListedSound, faults: Faults) -> tuple[float, float | None]:
    """Where a clip begins and ends in its file, in seconds; None is the end of the file.

    Args:
        sound: The sound.
        faults: Where a ``start`` or ``end`` that is no time is noted, and both in the wrong order.
    """
    found: list[float | None] = []
    for name in ("start", "end"):
        text = sound.values.get(name, "")
        try:
            value = float(text) if text else None
        except ValueError:
            value = math.nan
        if value is not None and not 0 <= value < math.inf:
            faults.add(sound.place, f"{name} {text!r} is no time in seconds", "correct the line")
            return 0.0, None
        found.append(value)
    start_s, stop_s = found[0] or 0.0, found[1]
    if stop_s is not None and stop_s <= start_s:
        what = f"the clip ends at {stop_s:g} s and begins at {start_s:g} s"
        faults.add(sound.place, what, "correct the line")
    return start_s, stop_s


def key_of(sound: ListedSound, root: Path, start_s: float, stop_s: float | None) -> str:
    """The id that the list gives, or the path in the root, with its times where it is a part of a file."""
    if key := sound.values.get("key"):
        return key
    key = sound.values["path"]
    if os.path.isabs(key) and Path(key).is_relative_to(root.absolute()):  # noqa: PTH117  quicker
        key = Path(key).relative_to(root.absolute()).as_posix()
    if not start_s and stop_s is None:
        return key
    return f"{key}@{start_s:g}-{'' if stop_s is None else f'{stop_s:g}'}"


def note_repeated(clips: Sequence[ListedClip], faults: Faults) -> None:
    """Note a file in two splits, or twice in one but for parts that do not overlap, and an id that comes twice."""
    files = [os.path.abspath(clip.path) for clip in clips]  # noqa: PTH100  quicker
    order = sorted(range(len(clips)), key=lambda row: (files[row], clips[row].start_s, row))
    told: dict[int, tuple[str, str]] = {}
    longest = order[0] if order else 0  # of those before in the same file, the one that goes on longest
    for before, after in pairwise(order):
        if files[before] != files[after]:
            longest = after
            continue
        other = before if clips[before].part != clips[after].part else longest
        first, second = (clips[row] for row in sorted((other, after)))
        here, there = second.part or "none", first.part or "none"
        if first.part != second.part:
            what = f"{second.path} is in two splits, {here} here and {there} in {first.place}"
        elif clips[after].start_s < _end(clips[longest]):
            what = f"{second.path} is listed in {first.place} already"
        else:
            what = ""
        if what:
            told[max(other, after)] = what, "keep one of the lines"
        longest = max(longest, after, key=lambda row: _end(clips[row]))
    known: dict[str, int] = {}
    for row, clip in enumerate(clips):
        if (first_row := known.setdefault(clip.key, row)) != row and row not in told:
            told[row] = f"id {clip.key!r} is that of {clips[first_row].place} too", "correct one of them"
    for row in sorted(told):
        faults.add(clips[row].place, *told[row])


def _end(clip: ListedClip) -> float:
    return math.inf if clip.stop_s is None else clip.stop_s
