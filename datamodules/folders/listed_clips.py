"""From what a list says of a sound to its clip: the file, the times, the id, and that none is there twice."""

import math
import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from datamodules.audio.search import is_audio, names_in
from datamodules.clips import Clip
from datamodules.folders.listed_sounds import ListedSound
from datamodules.protocol import ProtocolError


class FilePaths:
    """Finds the files of a list.

    Args:
        root: Folder that paths are relative to.
        roots: Name in the column ``root`` -> folder.
    """

    def __init__(self, root: Path, roots: Mapping[str, str]) -> None:
        self._root, self._roots = os.fspath(root), roots
        self._listings: dict[str, dict[str, str]] = {}

    def of(self, sound: ListedSound) -> str:
        """Path of a sound, whose name may lack its ending; one that is not there as it is listed."""
        folder = sound.values.get("root", "")
        path = os.path.join(self._root, self._roots.get(folder, folder), sound.values["path"])  # noqa: PTH118  quicker
        if is_audio(path):
            return path
        folder, name = os.path.split(path)
        return f"{folder}/{self._names_in(folder).get(name, name)}"

    def _names_in(self, folder: str) -> dict[str, str]:
        """Names of a folder's files, and of those of audio without their endings -> name; listed once."""
        if folder not in self._listings:
            names = sorted(names_in(folder), reverse=True)
            stems = {name.rpartition(".")[0]: name for name in names if is_audio(name)}
            self._listings[folder] = stems | {name: name for name in names}
        return self._listings[folder]


def times(sound: ListedSound) -> tuple[float, float | None]:
    """Where a clip begins and ends in its file, in seconds; None is the end of the file.

    Raises:
        ProtocolError: If ``start`` or ``end`` is no time, or they are in the wrong order.
    """
    found: list[float | None] = []
    for name in ("start", "end"):
        text = sound.values.get(name, "")
        try:
            value = float(text) if text else None
        except ValueError:
            value = math.nan
        if value is not None and not 0 <= value < math.inf:
            raise ProtocolError(f"{sound.place}: {name} {text!r} is no time in seconds: correct the line")
        found.append(value)
    start_s, stop_s = found[0] or 0.0, found[1]
    if stop_s is not None and stop_s <= start_s:
        raise ProtocolError(
            f"{sound.place}: the clip ends at {stop_s:g} s and begins at {start_s:g} s: correct the line"
        )
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


def refuse_repeated(
    clips: Sequence[Clip], sounds: Sequence[ListedSound], splits: Sequence[str | None]
) -> None:
    """Refuses what is listed twice.

    Args:
        clips: All of a list.
        sounds: Where each stands.
        splits: What split each is said to be of.

    Raises:
        ProtocolError: If a file is in two splits, twice in one but for parts that do not overlap, or an id comes twice.
    """
    files = [os.path.abspath(clip.path) for clip in clips]  # noqa: PTH100  quicker
    order = sorted(range(len(clips)), key=lambda row: (files[row], clips[row].start_s, row))
    for before, after in pairwise(order):
        if files[before] != files[after]:
            continue
        first, second = sorted((before, after))
        here, there = f"{sounds[second].place}: {clips[second].path}", sounds[first].place
        if splits[first] != splits[second]:
            raise ProtocolError(
                f"{here} is in two splits, {splits[second] or 'none'} here and {splits[first] or 'none'} in {there}:"
                " keep one of the lines"
            )
        end = clips[before].stop_s
        if end is None or clips[after].start_s < end:
            raise ProtocolError(f"{here} is listed in {there} already: keep one of the lines")
    known: dict[str, int] = {}
    for row, clip in enumerate(clips):
        if (first := known.setdefault(clip.key, row)) != row:
            raise ProtocolError(
                f"{sounds[row].place}: id {clip.key!r} is that of {sounds[first].place} too: correct one of them"
            )
