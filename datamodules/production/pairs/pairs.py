"""Pairs of audio, what goes in and what should come out: rows, batches, loaders."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.files import write_csv
from datamodules.loading.loader import ResumableLoader
from datamodules.loading.resumable import ResumableDataModule
from datamodules.loading.samplers import TrainBatchSampler

PairSplit = Literal["train", "validation", "test"]


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


@dataclass(eq=False)
class PairDataset(Dataset[PairItem]):
    """Items asked for as ``(index, draw)``: the 64-bit integer `draw` alone decides what is random in an item.

    Attributes:
        pairs: The rows.
        equal: Whether all items are equally long, so that they fit one batch.
    """

    equal = True
    pairs: Sequence[Pair]

    def __len__(self) -> int:
        return len(self.pairs)

    @abstractmethod
    def __getitem__(self, item: tuple[int, int]) -> PairItem:
        """The pair of row `index`."""


class PairDataModule(ResumableDataModule):
    """Pairs of audio as batches; a data set is one subclass with `split`, which gives `Pair`s, and `dataset`.

    Items of validation and test are whole files or windows that never change, and are never augmented.

    Args:
        epoch_items: Training items an epoch; None serves every pair once, more come back with other draws.
        batch_size: Training items a rank.
        eval_batch_size: Items a batch in validation and test; 1 where they differ in length.
        **settings: Of `ResumableDataModule`.

    Attributes:
        knob_names: Names of the knobs in the order of `PairBatch.knobs`; known after `setup` at the latest.
        knob_ranges: Least and greatest setting of each knob, in its own unit.
    """

    rows: dict[str, list[Pair]]
    knob_names: Sequence[str] = ()
    knob_ranges: Sequence[tuple[float, float]] = ()

    def __init__(
        self,
        *,
        epoch_items: int | None = None,
        batch_size: int = 16,
        eval_batch_size: int = 16,
        **settings: Any,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, **settings)
        self.epoch_items = epoch_items

    @abstractmethod
    def dataset(self, name: PairSplit) -> PairDataset:
        """Items of the rows in ``rows[name]``."""

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled batches that (seed, epoch) alone determine; resumes where a restored checkpoint was."""
        self.setup("fit")
        num_pairs = len(self.rows["train"])
        sampler = TrainBatchSampler(num_pairs, epoch_items=self.epoch_items, **self.order_settings)
        return self.resumable_loader(self.dataset("train"), sampler, collate_pairs)

    def evaluation_loader(self, split: PairSplit) -> DataLoader[PairItem]:
        """Batches of a split, of one item where items differ in length."""
        dataset = self.dataset(split)
        size = self.eval_batch_size if dataset.equal else 1
        return self.ordered_loader(dataset, len(dataset), collate_pairs, batch_size=size)

    def write_scores(
        self, path: str | Path, keys: Sequence[str], scores: ArrayLike, decisions: Sequence[int] | None = None
    ) -> Path:
        """Write figures of pairs, see `write_figures`."""
        return write_figures(path, keys, scores)


def write_figures(path: str | Path, keys: Sequence[str], figures: ArrayLike) -> Path:
    """Write one line a row as CSV: ``key,<metric>,...``; an undefined figure is empty.

    Args:
        path: Its suffix becomes ``.csv``.
        keys: Ids of the rows.
        figures: Structured array (row,) with one field a metric; plain figures are the column ``score``.

    Returns:
        The file.

    Raises:
        ValueError: If the numbers of keys and figures differ.
    """
    rows = np.asarray(figures)
    if len(keys) != len(rows):
        raise ValueError(f"{path}: {len(rows)} scores for {len(keys)} pairs: give one row each")
    values = (row if isinstance(row, tuple) else (row,) for row in rows.tolist())
    lines = (
        [key, *("" if math.isnan(value) else f"{value:.9g}" for value in row)]
        for key, row in zip(keys, values, strict=True)
    )
    return write_csv(Path(path).with_suffix(".csv"), [("key", *(rows.dtype.names or ("score",))), *lines])


def normalise_knobs(knobs: Sequence[float], ranges: Sequence[tuple[float, float]]) -> Tensor:
    """Settings in their own units -> float32 (knob,) in [-0.5, 0.5]."""
    return torch.tensor(
        [(knob - low) / (high - low) - 0.5 for knob, (low, high) in zip(knobs, ranges, strict=True)]
    )


def collate_pairs(items: Sequence[PairItem]) -> PairBatch:
    """Stack items of equal length."""
    waveforms, targets, knobs, pairs, indices = zip(*items, strict=True)
    return PairBatch(
        waveform=torch.stack(waveforms),
        target=torch.stack(targets),
        knobs=torch.stack(knobs),
        index=torch.tensor(indices),
        key=[pair.key for pair in pairs],
        attributes={name: [pair.attributes[name] for pair in pairs] for name in pairs[0].attributes},
    )
