"""Divide a user's own sounds: what no list or folder says the split of is held out, whole sources and twins at once."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import compress
from pathlib import Path

import numpy as np
from lightning_utilities.core.rank_zero import rank_zero_warn
from numpy.typing import NDArray

from datamodules.clips import Clip
from datamodules.folders.sound_files import Part
from datamodules.folders.source_split import hold_out, join_sources

Pairs = Sequence[tuple[int, int]]
"""Numbers of two clips that no split may part."""

HeldOut = Mapping[Part, float | list[str]]
"""Split -> part of each class of training to hold out, or the names of sources."""


def checked_parts(*, test: float | list[str], validation: float | list[str]) -> HeldOut:
    """What is to be held out, in the order in which it is.

    Raises:
        ValueError: If a part is none.
    """
    held_out: HeldOut = {"test": test, "validation": validation}
    for name, part in held_out.items():
        if isinstance(part, float | int) and not 0 <= part < 1:
            raise ValueError(f"{name} is {part}: give at least 0 and less than 1, or the names of sources")
    return held_out


def wanted_parts(held_out: HeldOut, said: Collection[str | None]) -> dict[Part, float | list[str]]:
    """What is to be held out, without splits that are said."""
    return {name: part for name, part in held_out.items() if name not in said and part not in (0, [])}


class Division:
    """Holds whole sources out, such that neither a source nor a pair of twins is in two parts.

    Args:
        root: What messages name.
        clips: All of them, with the attribute ``source``.
        labels: bool (clip, class), of each of which a like part is held out.
        pairs: Of clips that stay together.
        fold: Another number holds out other sources.
        ways_out: What a user can do where nothing can be held out -> sources and pairs as they are then; the first
            that helps is named.
    """

    def __init__(
        self,
        root: Path,
        clips: Sequence[Clip],
        labels: NDArray[np.bool_],
        *,
        pairs: Pairs,
        fold: int,
        ways_out: Mapping[str, tuple[Sequence[str], Pairs]],
    ) -> None:
        self._root, self._clips, self._labels, self._ways_out = root, clips, labels, ways_out
        self._sources = [clip.attributes["source"] for clip in clips]
        self._parts = join_sources(self._sources, pairs)
        self._order = [f"{fold} {clip.key}" for clip in clips]

    def hold_out(
        self, wanted: float | list[str], *, free: NDArray[np.bool_], name: Part
    ) -> NDArray[np.int64]:
        """Numbers of the clips to hold out of those that are `free`, bool (clip,), for the split `name`.

        Raises:
            ValueError: If there are none, or a source is none of the clips'.
        """
        chosen = self._chosen(wanted, free, self._parts)
        if not chosen.any():
            raise ValueError(
                f"{self._root}: nothing can be held out for {name} ({wanted}): every source is the only one of a class;"
                f" set {self._way_out(wanted, free)}{name} to 0"
            )
        return np.flatnonzero(free)[chosen]

    def _chosen(
        self, wanted: float | list[str], free: NDArray[np.bool_], parts: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        if isinstance(wanted, list):
            return np.isin(parts[free], parts[self._rows_of(wanted)])
        order = list(compress(self._order, free))
        return hold_out(parts[free], self._labels[free], fraction=wanted, order=order)

    def _way_out(self, wanted: float | list[str], free: NDArray[np.bool_]) -> str:
        """What lets something be held out, of what joins files: near duplicates, and sources."""
        if isinstance(wanted, list):
            return ""
        ways = (
            way
            for way, (sources, pairs) in self._ways_out.items()
            if self._chosen(wanted, free, join_sources(sources, pairs)).any()
        )
        return next((f"{way}, or " for way in ways), "")

    def _rows_of(self, wanted: Sequence[str]) -> list[int]:
        known = set(self._sources)
        for source in wanted:
            if source not in known:
                near = ", ".join(get_close_matches(source, known) or sorted(known)[:5])
                raise ValueError(f"{self._root}: no source {source!r} to hold out: name one of {near}")
        return [row for row, source in enumerate(self._sources) if source in wanted]


def tell_leaks(
    root: Path, clips: Sequence[Clip], side: NDArray[np.str_], twins: Iterable[tuple[int, int]]
) -> None:
    """Warn of recordings that are on two sides of a given split.

    Args:
        root: What the message names.
        clips: All of them.
        side: Split of each.
        twins: Numbers of clips of the same recording.
    """
    leaks = [(a, b) for a, b in twins if side[a] != side[b]]
    if leaks:
        a, b = (clips[row].key for row in leaks[0])
        rank_zero_warn(
            f"{root}: {len(leaks)} pairs of files hold the same recording on two sides of the given split, e.g. {a} and"
            f" {b}: figures are too good"
        )


def pairs_of_one_file(clips: Sequence[Clip]) -> list[tuple[int, int]]:
    """Numbers of clips that are parts of one file."""
    first: dict[str, int] = {}
    return [
        (before, row) for row, clip in enumerate(clips) if (before := first.setdefault(clip.path, row)) != row
    ]
