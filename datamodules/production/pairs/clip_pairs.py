"""Pairs of clips: what went in lies in one file, what should come out in another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datamodules.clips import Clip, ClipDataset
from datamodules.clips.search import require_files
from datamodules.loading.resumable import SplitName
from datamodules.production.pairs.pairs import (
    Pair,
    PairDataModule,
    PairDataset,
    PairItem,
    PairSplit,
    normalise_knobs,
)


@dataclass(frozen=True, kw_only=True)
class ClipPair(Pair):
    """One row of a split.

    Attributes:
        input: The clip that goes in.
        target: The clip that should come out, sample by sample.
    """

    input: Clip
    target: Clip


class ClipPairDataModule(PairDataModule):
    """Pairs of clips; a data set is one subclass with `split`, which gives `ClipPair`s.

    Training crops both clips at the same place; evaluation takes whole clips.

    Args:
        sample_rate: Of all audio, in Hz; files of other rates are resampled.
        window: Samples of a training item; shorter clips are filled with silence.
        **settings: Of `PairDataModule`.
    """

    def __init__(self, *, sample_rate: int = 16000, window: int = 16384, **settings: Any) -> None:
        super().__init__(sample_rate=sample_rate, **settings)
        self.window = window

    def read_rows(self, name: SplitName) -> Sequence[ClipPair]:
        """Rows of a split; makes sure that their audio is there and equally long on both sides.

        Raises:
            ValueError: A file is missing, or is longer or shorter than its partner.
        """
        pairs = super().read_rows(name)
        sides = [pair.input for pair in pairs], [pair.target for pair in pairs]
        require_files([*sides[0], *sides[1]])
        lengths = [ClipDataset(clips, **self.decoding).lengths() for clips in sides]
        if (differing := np.flatnonzero(lengths[0] != lengths[1])).size:
            row = differing[0]
            raise ValueError(
                f"{pairs[row].input.path}: {lengths[0][row]} samples where {pairs[row].target.path} has"
                f" {lengths[1][row]}: cut both alike"
            )
        return pairs

    def dataset(self, name: PairSplit) -> PairDataset:
        """Items of a split."""
        pairs = [pair for pair in self.rows[name] if isinstance(pair, ClipPair)]
        crop_s = self.window / self.sample_rate if name == "train" else None
        sides = [
            ClipDataset(clips, **self.decoding, crop_s=crop_s, padding="zero")
            for clips in ([pair.input for pair in pairs], [pair.target for pair in pairs])
        ]
        return _ClipPairs(pairs, sides, self.knob_ranges, equal=name == "train")


@dataclass(eq=False)
class _ClipPairs(PairDataset):
    sides: Sequence[ClipDataset]
    knob_ranges: Sequence[tuple[float, float]]
    equal: bool

    def __getitem__(self, item: tuple[int, int]) -> PairItem:
        waveform, target = (side[item].waveform for side in self.sides)
        pair = self.pairs[item[0]]
        return PairItem(waveform, target, normalise_knobs(pair.knobs, self.knob_ranges), pair, item[0])
