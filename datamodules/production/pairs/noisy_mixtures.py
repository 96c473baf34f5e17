"""Clean signals and noise, mixed as they are asked for: training data of a denoiser."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.clips import Clip, ClipDataset, Padding
from datamodules.clips.search import clips_to_predict
from datamodules.production.pairs.mixtures import Content, Mixture, MixtureDataset
from datamodules.production.pairs.pairs import Pair, PairDataModule, PairDataset, PairSplit

_SPLITS: tuple[PairSplit, ...] = ("train", "validation", "test")
_SHARES = (0.8, 0.1, 0.1)  # of the files, in the order of _SPLITS


class NoisyMixtures(PairDataModule):
    """Windows of clean signals with noise added at given signal-to-noise ratios; the target is the clean signal.

    Without folders the signals are the simple ones of Hawley (2018), half sines, plucks and boxes, and the noise is
    white. Files of a folder are shared out to the splits, 8 : 1 : 1 in an order that does not depend on `seed`.
    A signal below -60 dB full scale, as in a pause, counts as one of -60 dB, so that noise goes on through pauses.

    Args:
        clean: Folder of clean audio, searched in depth; None draws simple signals.
        noise: Folder of noise; None draws white noise.
        sample_rate: Of all audio, in Hz; files of other rates are resampled.
        window: Samples of an item; shorter files are filled with silence, shorter noise repeats.
        snr_db: Least and greatest ratio in training, drawn evenly.
        eval_snr_db: Ratios in validation and test, in turn.
        clean_share: Share of training items without noise: a denoiser must learn to leave them alone.
        noise_share: Share of training items of noise alone (Rethage et al. 2018: 0.1).
        eval_items: Items of validation, and of test.
        epoch_items: Training items an epoch.
        **settings: Of `PairDataModule`.

    Raises:
        ValueError: For ratios in the wrong order, or shares that leave no mixtures.
    """

    def __init__(
        self,
        *,
        clean: str | None = None,
        noise: str | None = None,
        sample_rate: int = 16000,
        window: int = 2048,
        snr_db: tuple[float, float] = (0.0, 10.0),
        eval_snr_db: Sequence[float] = (0.0, 2.5, 5.0, 7.5, 10.0),
        clean_share: float = 0.1,
        noise_share: float = 0.1,
        eval_items: int = 700,
        epoch_items: int = 20000,
        **settings: Any,
    ) -> None:
        super().__init__(root=clean or "", sample_rate=sample_rate, epoch_items=epoch_items, **settings)
        if min(clean_share, noise_share) < 0 or clean_share + noise_share >= 1:
            raise ValueError(
                f"clean_share {clean_share} and noise_share {noise_share}: expected shares that leave mixtures"
            )
        if snr_db[0] > snr_db[1] or not eval_snr_db or window < 1:
            raise ValueError(
                f"snr_db {snr_db}, eval_snr_db {eval_snr_db}, window {window}: expected the lower ratio first, at least"
                " one ratio to evaluate at, and a window of at least a sample"
            )
        self.noise_root = Path(noise).expanduser() if noise else None
        self.clean_root = Path(clean).expanduser() if clean else None
        self.window, self.snr_db, self.eval_snr_db = window, snr_db, tuple(eval_snr_db)
        self.clean_share, self.noise_share, self.eval_items = clean_share, noise_share, eval_items

    def split(self, name: PairSplit) -> list[Pair]:
        """Rows: of training what an epoch draws from, of evaluation every ratio, clean signals and noise in turn."""
        if name == "train":
            return [Pair(key=f"train_{index:06d}") for index in range(self.epoch_items or 1)]
        kinds: list[tuple[Content, float]] = [("mixture", ratio) for ratio in self.eval_snr_db]
        kinds.append(("clean", math.inf))
        kinds.append(("noise", -math.inf))
        rows: list[Pair] = []
        for index in range(self.eval_items):
            content, ratio = kinds[index % len(kinds)]
            label = f"{ratio:g} dB" if content == "mixture" else content
            key = f"{name}_{index:06d}"
            rows.append(Mixture(key=key, attributes={"snr": label}, content=content, snr_db=ratio))
        return rows

    def dataset(self, name: PairSplit) -> PairDataset:
        """Items of a split."""
        return MixtureDataset(
            self.rows[name],
            clean=self._source(self.clean_root, name, "zero"),
            noise=self._source(self.noise_root, name, "repeat"),
            window=self.window,
            sample_rate=self.sample_rate,
            snr_db=self.snr_db,
            shares=(self.clean_share, self.noise_share),
            seed=_SPLITS.index(name),
        )

    def _source(self, root: Path | None, name: PairSplit, padding: Padding) -> ClipDataset | None:
        if root is None:
            return None
        return ClipDataset(
            share_of_files(root, name),
            **self.decoding,
            crop_s=self.window / self.sample_rate,
            padding=padding,
        )


def share_of_files(root: Path, name: PairSplit) -> list[Clip]:
    """The files of a folder that belong to a split.

    Raises:
        ValueError: If the folder is missing or has less than one file for each split.
    """
    clips = clips_to_predict([root])
    if len(clips) < len(_SPLITS):
        raise ValueError(
            f"{root}: {len(clips)} audio files: give at least {len(_SPLITS)}, one for each split"
        )
    order = np.random.default_rng(0).permutation(len(clips))
    held_out = [max(round(share * len(clips)), 1) for share in _SHARES[1:]]
    parts = np.split(order, np.cumsum([len(clips) - sum(held_out), *held_out]))
    return [clips[row] for row in sorted(parts[_SPLITS.index(name)])]
