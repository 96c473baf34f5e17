"""Recordings that exist clean and noisy, as VoiceBank-DEMAND has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from datamodules.clips import Clip, ClipDataset
from datamodules.clips.search import clips_to_predict, require_files
from datamodules.production.pairs.noisy_mixtures import share_of_files
from datamodules.production.pairs.pairs import Pair, PairDataModule, PairDataset, PairItem, PairSplit


class NoisyPairs(PairDataModule):
    """Pairs of files of equal names, ``clean/NAME`` and ``noisy/NAME``; training crops both at the same place.

    The two folders lie in ``train``, ``validation`` and ``test`` of the root; where they lie in the root itself, its
    pairs are shared out 8 : 1 : 1. Evaluation takes whole files.

    Args:
        sample_rate: Of all audio, in Hz; files of other rates are resampled.
        window: Samples of a training item; shorter files are filled with silence.
        **settings: Of `PairDataModule`.
    """

    def __init__(self, *, sample_rate: int = 16000, window: int = 16384, **settings: Any) -> None:
        super().__init__(sample_rate=sample_rate, **settings)
        self.window = window
        self.sides: dict[PairSplit, tuple[list[Clip], list[Clip]]] = {}  # noisy and clean

    def split(self, name: PairSplit) -> list[Pair]:
        """Rows of a split; of training and evaluation alike one a pair of files.

        Raises:
            ValueError: If a clean file has no noisy one, or the two differ in length.
        """
        flat = (self.root / "clean").is_dir()
        folder = self.root if flat else self.root / name
        clean = share_of_files(folder / "clean", name) if flat else clips_to_predict([folder / "clean"])
        noisy = [
            Clip(clip.key, str(folder / "noisy" / Path(clip.path).relative_to(folder / "clean")))
            for clip in clean
        ]
        require_files(noisy)
        lengths = [ClipDataset(clips, sample_rate=self.sample_rate).lengths() for clips in (noisy, clean)]
        if (differing := np.flatnonzero(lengths[0] != lengths[1])).size:
            row = differing[0]
            raise ValueError(
                f"{noisy[row].path}: {lengths[0][row]} samples where its clean file has {lengths[1][row]}: cut both"
                " alike"
            )
        self.sides[name] = noisy, clean
        return [Pair(key=clip.key, attributes={"snr": "mixture"}) for clip in clean]

    def dataset(self, name: PairSplit) -> PairDataset:
        """Items of a split."""
        crop_s = self.window / self.sample_rate if name == "train" else None
        sides = [
            ClipDataset(clips, sample_rate=self.sample_rate, crop_s=crop_s, padding="zero")
            for clips in self.sides[name]
        ]
        return _FilePairs(self.rows[name], sides, equal=name == "train")


@dataclass(eq=False)
class _FilePairs(PairDataset):
    sides: Sequence[ClipDataset]
    equal: bool

    def __getitem__(self, item: tuple[int, int]) -> PairItem:
        noisy, clean = (side[item].waveform for side in self.sides)
        return PairItem(noisy, clean, torch.zeros(0), self.pairs[item[0]], item[0])
