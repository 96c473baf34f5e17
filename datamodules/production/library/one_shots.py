"""One-shot samples to learn to make: clips of one length from their beginning."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from datamodules.clips import Clip
from datamodules.folders.audio_folder import AudioFolder
from datamodules.loading.samplers import TrainBatchSampler
from datamodules.production.pairs.pairs import write_figures


class OneShots(AudioFolder):
    """The beginnings of an `AudioFolder`'s sounds, of some classes or all; shorter ones end in silence.

    Args:
        num_samples: Length of every clip.
        sample_rate: In Hz.
        only: Classes to take; None takes all.
        epoch_items: Training clips an epoch; None serves every clip once. Few clips make epochs too short to be worth
            a validation.
        **settings: Of `AudioFolder`.
    """

    def __init__(
        self,
        *,
        num_samples: int = 16384,
        sample_rate: int = 16000,
        only: Sequence[str] | None = None,
        epoch_items: int | None = None,
        **settings: Any,
    ) -> None:
        seconds = num_samples / sample_rate
        super().__init__(
            sample_rate=sample_rate, train_crop_s=seconds, eval_crop_s=seconds, padding="zero", **settings
        )
        self.only, self.epoch_items = only, epoch_items

    def split(self, name: Literal["train", "validation", "test"]) -> list[Clip]:
        """Clips of the wanted classes.

        Raises:
            ValueError: If a class has no folder.
        """
        clips, names = super().split(name), self.heads["class"]
        if self.only is None:
            return clips
        if unknown := [label for label in self.only if label not in names]:
            raise ValueError(
                f"{self.root}: no class {unknown[0]!r}: give `only` names among {', '.join(names)}"
            )
        wanted = {names.index(label) for label in self.only}
        return [clip for clip in clips if clip.target in wanted]

    def train_sampler(self) -> TrainBatchSampler:
        """Each clip as often as the others, or once more."""
        return TrainBatchSampler(len(self.rows["train"]), epoch_items=self.epoch_items, **self.order_settings)

    def write_scores(
        self, path: str | Path, keys: Sequence[str], scores: ArrayLike, decisions: Sequence[int] | None = None
    ) -> Path:
        """Write figures of sounds, see `write_figures`, or a classifier's probabilities as `AudioFolder` does."""
        if np.asarray(scores).ndim == 2:
            return super().write_scores(path, keys, scores, decisions)
        return write_figures(path, keys, scores)
