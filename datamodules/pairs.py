"""Pairs of audio, what goes in and what should come out: rows, batches, loaders."""

import csv
import io
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.files import write_text_atomically
from datamodules.loader import ResumableLoader
from datamodules.resumable import ResumableDataModule
from datamodules.samplers import TrainBatchSampler

PairSplit = Literal["train", "validation", "test"]
_SPLITS_OF_STAGE: dict[str | None, tuple[PairSplit, ...]] = {
    "fit": ("train", "validation"),
    "validate": ("validation",),
    "test": ("test",),
    None: ("train", "validation", "test"),
}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One row of a split; data sets add the paths of its files.

    Attributes:
        key: Id, unique within the split.
        knobs: Setting of every knob in its own unit.
        attributes: What evaluation groups by.
    """

    key: str
    knobs: tuple[float, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)


class PairItem(NamedTuple):
    """One pair: input and target (1, time), normalised knobs (knob,), the row and its number."""

    waveform: Tensor
    target: Tensor
    knobs: Tensor
    pair: Pair
    index: int


class PairBatch(NamedTuple):
    """A batch of pairs, on the CPU or on the training device.

    Attributes:
        waveform: float32 (batch, 1, time), the input, nominally in [-1, 1].
        target: float32 (batch, 1, time), sample by sample what it should become.
        knobs: float32 (batch, knob) in [-0.5, 0.5]; (batch, 0) without knobs.
        index: int64 (batch,), row of each pair in its split; identifies duplicates across ranks.
        key: Ids.
        attributes: Column name -> one value a pair.
    """

    waveform: Tensor
    target: Tensor
    knobs: Tensor
    index: Tensor
    key: list[str]
    attributes: dict[str, list[str]]


class PairDataset(Dataset[PairItem]):
    """Items asked for as ``(index, draw)``: the 64-bit integer `draw` alone decides what is random in an item.

    Attributes:
        equal: Whether all items are equally long, so that they fit one batch.
    """

    equal: bool = True

    @abstractmethod
    def __len__(self) -> int:
        """Number of pairs."""

    @abstractmethod
    def __getitem__(self, item: tuple[int, int]) -> PairItem:
        """The pair of row `index`."""


class _Repeated(Dataset[PairItem]):
    """A data set that goes on from its beginning: an epoch longer than its rows."""

    def __init__(self, dataset: PairDataset) -> None:
        self._dataset = dataset

    def __getitem__(self, item: tuple[int, int]) -> PairItem:
        index, draw = item
        return self._dataset[index % len(self._dataset), draw]


class PairDataModule(ResumableDataModule):
    """Pairs of audio as batches; a data set is one subclass with `split` and `dataset`.

    Items of validation and test are whole files or windows that never change, and are never augmented.

    Args:
        root: Folder of the data set.
        sample_rate: Of all audio, in Hz.
        epoch_items: Training items an epoch; None serves every pair once, more come back with other draws.
        batch_size: Training items a rank.
        eval_batch_size: Items a batch in validation and test; 1 where they differ in length.
        num_workers: Loader processes a rank; None follows the CPUs, 0 works in the training process.
        seed: Of the order of items and of the draws.

    Attributes:
        pairs: Split name -> its rows, once `setup` has read them.
        knob_names: Names of the knobs in the order of `PairBatch.knobs`; known after `setup` at the latest.
        knob_ranges: Least and greatest setting of each knob, in its own unit.
    """

    knob_names: Sequence[str] = ()
    knob_ranges: Sequence[tuple[float, float]] = ()

    def __init__(
        self,
        *,
        root: str,
        sample_rate: int,
        epoch_items: int | None = None,
        batch_size: int = 16,
        eval_batch_size: int = 16,
        num_workers: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            root=root,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
        )
        self.sample_rate, self.epoch_items = sample_rate, epoch_items
        self.pairs: dict[str, list[Pair]] = {}

    @abstractmethod
    def split(self, name: PairSplit) -> list[Pair]:
        """Rows of a split; read from lists and names, without decoding audio."""

    @abstractmethod
    def dataset(self, name: PairSplit) -> PairDataset:
        """Items of the rows in ``pairs[name]``."""

    def setup(self, stage: str | None = None) -> None:
        """Read the splits of a stage, each once."""
        for name in _SPLITS_OF_STAGE[stage]:
            if name not in self.pairs:
                self.pairs[name] = self.split(name)

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled batches that (seed, epoch) alone determine; resumes where a restored checkpoint was."""
        self.setup("fit")
        rank, world_size, _ = self.ranks
        sampler = TrainBatchSampler(
            self.epoch_items or len(self.pairs["train"]),
            batch_size=self.batch_size,
            rank=rank,
            world_size=world_size,
            seed=self.seed,
            reshuffle=not getattr(self.trainer, "overfit_batches", 0),
        )
        return self.resumable_loader(_Repeated(self.dataset("train")), sampler, collate_pairs)

    def val_dataloader(self) -> DataLoader[PairItem]:
        """Batches of the validation split."""
        self.setup("validate")
        return self._evaluation_loader("validation")

    def test_dataloader(self) -> DataLoader[PairItem]:
        """Batches of the test split."""
        self.setup("test")
        return self._evaluation_loader("test")

    def _evaluation_loader(self, name: PairSplit) -> DataLoader[PairItem]:
        dataset = self.dataset(name)
        size = self.eval_batch_size if dataset.equal else 1
        return self.ordered_loader(dataset, len(dataset), collate_pairs, batch_size=size)

    def write_scores(
        self,
        path: str | Path,
        keys: Sequence[str],
        scores: Sequence[float] | np.ndarray,
        decisions: Sequence[int] | None = None,
    ) -> None:
        """Write one line a pair as CSV: ``key,<metric>,...``; an undefined figure is empty.

        Args:
            path: Its suffix becomes ``.csv``.
            keys: Ids of the pairs.
            scores: Structured array (pair,) with one field a metric; plain figures are the column ``score``.
            decisions: Not used.

        Raises:
            ValueError: If the numbers of keys and scores differ.
        """
        rows = np.asarray(scores)
        if len(keys) != len(rows):
            raise ValueError(f"{path}: {len(rows)} scores for {len(keys)} pairs: give one row each")
        names = rows.dtype.names or ("score",)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["key", *names])
        for key, row in zip(keys, rows.tolist(), strict=True):
            values = row if isinstance(row, tuple) else (row,)
            writer.writerow([key, *("" if math.isnan(value) else f"{value:.9g}" for value in values)])
        write_text_atomically(Path(path).with_suffix(".csv"), text.getvalue())


def normalise_knobs(knobs: Sequence[float], ranges: Sequence[tuple[float, float]]) -> Tensor:
    """Settings in their own units -> float32 (knob,) in [-0.5, 0.5]."""
    return torch.tensor(
        [(knob - low) / (high - low) - 0.5 for knob, (low, high) in zip(knobs, ranges, strict=True)]
    )


def collate_pairs(items: Sequence[PairItem]) -> PairBatch:
    """Stack items of equal length."""
    return PairBatch(
        waveform=torch.stack([item.waveform for item in items]),
        target=torch.stack([item.target for item in items]),
        knobs=torch.stack([item.knobs for item in items]),
        index=torch.tensor([item.index for item in items]),
        key=[item.pair.key for item in items],
        attributes={
            name: [item.pair.attributes[name] for item in items] for name in items[0].pair.attributes
        },
    )
