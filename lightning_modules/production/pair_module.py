"""What training and evaluation on pairs of audio share, whatever the network makes of them."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, cast

import numpy as np
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from numpy.lib.recfunctions import unstructured_to_structured
from torch import Tensor, nn

from datamodules.pairs import Pair, PairBatch, PairDataModule
from lightning_modules import optimization
from lightning_modules.metrics.row_table import MeanTable
from lightning_modules.results import Report


class PairModule(LightningModule):
    """Trains a network on pairs and evaluates it by figures of each pair, gathered from all ranks.

    A subclass adds `training_step`, `figures_of` and `summary`.

    Args:
        network: (batch, 1, time) and knobs -> (batch, 1, time).
        optimizer: Made from the trainable parameters.
        lr_scheduler: Made from the optimizer; see `optimization.configure` for when it steps.

    Attributes:
        logged: Metrics of the validation's report that are logged, as ``val/<name>``.
        sample_rate: Of the training data, in Hz; checkpoints keep it.
    """

    logged: ClassVar[Sequence[str]]

    def __init__(
        self,
        network: nn.Module,
        *,
        optimizer: OptimizerCallable,
        lr_scheduler: LRSchedulerCallable | None,
    ) -> None:
        super().__init__()
        self.network = network
        self.optimizer_factory, self.lr_scheduler_factory = optimizer, lr_scheduler
        self.sample_rate = 0
        self.figures = MeanTable()
        self.gathered: tuple[Tensor, Tensor] | None = None  # index and figures of the last split's pairs

    @abstractmethod
    def figures_of(self, batch: PairBatch) -> Tensor:
        """Evaluates the pairs of a batch: (batch, figure)."""

    @abstractmethod
    def summary(self, pairs: Sequence[Pair], figures: Tensor) -> Report:
        """Sums up a split: its rows and their figures, float64 (pair, figure)."""

    @property
    def _data(self) -> PairDataModule:
        return cast(PairDataModule, self.trainer.datamodule)  # pyright: ignore[reportAttributeAccessIssue]

    def setup(self, stage: str) -> None:
        """Takes the sample rate from the data.

        Raises:
            ValueError: The model works at another rate.
        """
        rate = self._data.sample_rate
        if self.sample_rate not in (0, rate):
            raise ValueError(
                f"the model works at {self.sample_rate} Hz, and the data have {rate} Hz: set data.sample_rate to"
                f" {self.sample_rate}, or train anew"
            )
        self.sample_rate = rate

    def forward(self, waveform: Tensor, knobs: Tensor | None = None) -> Tensor:
        """What the network makes of (batch, 1, time)."""
        return self.network(waveform, knobs)

    def configure_optimizers(self) -> Any:
        """Builds the optimizer and its schedule."""
        return optimization.configure(self, self.optimizer_factory, self.lr_scheduler_factory)

    def validation_step(self, batch: PairBatch, batch_idx: int) -> None:
        """Collects the figures of pairs."""
        self.figures.update(self.figures_of(batch), batch.index)

    test_step = validation_step

    def on_validation_epoch_end(self) -> None:
        """Logs `logged` over all pairs of all ranks."""
        self.on_test_epoch_end()
        metrics = self.report(self._data, "validation").metrics
        self.log_dict({f"val/{name}": metrics[name] for name in self.logged}, prog_bar=True)

    def on_test_epoch_end(self) -> None:
        """Gathers the figures of all ranks."""
        index, figures = self.figures.compute()
        index = index.flatten()  # torchmetrics squeezes what has one element
        self.gathered = index, figures.reshape(len(index), -1)
        self.figures.reset()

    def report(self, datamodule: PairDataModule, split: Literal["validation", "test"]) -> Report:
        """Evaluates what the last validation or test loop gathered."""
        assert self.gathered is not None, "a validation or test loop comes first"
        index, figures = (column.cpu() for column in self.gathered)
        return self.summary([datamodule.pairs[split][row] for row in index.tolist()], figures.double())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the sample rate."""
        checkpoint["sample_rate"] = self.sample_rate

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the sample rate."""
        self.sample_rate = checkpoint["sample_rate"]


def named_columns(figures: Tensor, names: Sequence[str]) -> np.ndarray:
    """(pair, figure) -> structured array (pair,) with a field a name, as score files take it."""
    return unstructured_to_structured(figures.numpy(), names=list(names))
