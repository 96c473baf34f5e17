"""What training and evaluation on pairs of audio share, whatever the network makes of them."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from numpy.lib.recfunctions import unstructured_to_structured
from torch import Tensor, nn

from datamodules.production.pairs import Pair, PairBatch, PairDataModule
from lightning_modules.base import EvaluatedModule, Split
from lightning_modules.metrics.row_table import MeanTable
from lightning_modules.run.pretrained import Weights
from lightning_modules.run.rows import Report


class PairModule(EvaluatedModule[PairDataModule]):
    """Trains a network on pairs and evaluates it by figures of each pair, gathered from all ranks.

    A subclass adds `training_step`, `score` and `summary`.

    Args:
        network: (batch, 1, time) and knobs -> (batch, 1, time).
        weights: What the network begins with, see `EvaluatedModule`.
        optimizer: Made from the trainable parameters.
        lr_scheduler: Made from the optimizer; see `optimization.configure` for when it steps.

    Attributes:
        logged: Metrics of the validation's report that are logged, as ``val/<name>``.
        sample_rate: Of the training data, in Hz; checkpoints keep it.
        knobs: Name of each knob -> its range, in its own unit.
        stride: Samples that the network's output comes in multiples of.
    """

    training_only = ("objective.",)
    logged: ClassVar[Sequence[str]]
    knobs: Mapping[str, Sequence[float]] = MappingProxyType({})
    stride: int = 1

    def __init__(
        self,
        network: nn.Module,
        *,
        weights: str | Weights | None = None,
        optimizer: OptimizerCallable,
        lr_scheduler: LRSchedulerCallable | None,
    ) -> None:
        super().__init__(
            network, table=MeanTable, weights=weights, optimizer=optimizer, lr_scheduler=lr_scheduler
        )
        self.sample_rate = 0

    def scorer(self) -> None:
        """None: a recording is processed and has no score; see `render` of those that do."""

    @abstractmethod
    def score(self, batch: PairBatch) -> Tensor:
        """Evaluates the pairs of a batch: (batch, figure)."""

    @abstractmethod
    def summary(self, pairs: Sequence[Pair], figures: Tensor) -> Report:
        """Sums up a split: its rows and their figures, float64 (pair, figure)."""

    def setup(self, stage: str) -> None:
        """Takes the sample rate from the data.

        Raises:
            ValueError: The model works at another rate.
        """
        rate = self.data.sample_rate
        if self.sample_rate not in (0, rate):
            raise ValueError(
                f"the model works at {self.sample_rate} Hz, and the data have {rate} Hz: set data.sample_rate to"
                f" {self.sample_rate}, or train anew"
            )
        self.sample_rate = rate

    def require_samples(self, batch: PairBatch, wanted: int) -> None:
        """Refuses training items that are too short for a sample of output.

        Raises:
            ValueError: Names the key that makes them longer.
        """
        if (found := batch.waveform.shape[-1]) < wanted:
            key = "chunk" if hasattr(self.data, "chunk") else "window"
            raise ValueError(
                f"training items of {found} samples, and an output of {type(self.network).__name__} depends on"
                f" {wanted}: set data.{key} to at least {wanted}"
            )

    def forward(self, waveform: Tensor, knobs: Tensor | None = None) -> Tensor:
        """What the network makes of (batch, 1, time)."""
        return self.network(waveform, knobs)

    def validation_metrics(self) -> Mapping[str, float]:
        """Those of the report that are `logged`."""
        metrics = self.report(self.data, "validation").metrics
        return {name: metrics[name] for name in self.logged}

    def report(self, datamodule: PairDataModule, split: Split) -> Report:
        """Evaluates what the last validation or test loop gathered."""
        pairs, figures = self.scored(datamodule, split)
        return self.summary(pairs, figures.double())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the sample rate."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["sample_rate"] = self.sample_rate

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the sample rate."""
        super().on_load_checkpoint(checkpoint)
        self.sample_rate = checkpoint["sample_rate"]


def named_columns(figures: Tensor, names: Sequence[str]) -> np.ndarray:
    """(pair, figure) -> structured array (pair,) with a field a name, as score files take it."""
    return unstructured_to_structured(figures.numpy(), names=list(names))
