"""One-shot samples to learn to make: clips of one length from their beginning."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal

from torch.utils.data import DataLoader

from datamodules.audio_folder import AudioFolder
from datamodules.clips import Clip, collate
from datamodules.pairs import PairDataModule
from datamodules.samplers import EvaluationBatchSampler, Request, TrainBatchSampler


class _Repeated(TrainBatchSampler):
    """Goes on from the first clip after the last: an epoch of any length."""

    def __init__(self, num_clips: int, *, epoch_items: int | None, **settings: Any) -> None:
        super().__init__(epoch_items or num_clips, **settings)
        self._num_distinct = num_clips

    def __iter__(self) -> Iterator[list[Request]]:
        for requests in super().__iter__():
            yield [(index % self._num_distinct, draw) for index, draw in requests]


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
        return [clip for clip in clips if names[int(clip.target)] in self.only]  # pyright: ignore[reportArgumentType]

    def train_sampler(self, *, rank: int, world_size: int, reshuffle: bool) -> TrainBatchSampler:
        """Each clip as often as the others, or once more."""
        return _Repeated(
            len(self.clips["train"]),
            epoch_items=self.epoch_items,
            batch_size=self.batch_size,
            rank=rank,
            world_size=world_size,
            seed=self.seed,
            reshuffle=reshuffle,
        )

    def reference_dataloader(self) -> DataLoader[Any]:
        """The training clips, each once and all of them on every rank: what generated sounds must not be copies of."""
        self.setup("fit")
        dataset = self._dataset("train", self.train_crop_s)
        return DataLoader(
            dataset,
            batch_sampler=EvaluationBatchSampler(len(dataset), batch_size=self.eval_batch_size),
            collate_fn=partial(collate, padding=self.padding),
            **self._worker_settings(persistent=False),
        )

    write_scores = PairDataModule.write_scores  # pyright: ignore[reportAssignmentType]
