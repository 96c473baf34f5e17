"""What all anomalous sound detectors share: one score a clip, thresholds, the challenge's report."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, cast

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor

from datamodules.clips import Batch, Clip
from lightning_modules import optimization
from lightning_modules.asd.report import detection_report
from lightning_modules.asd.thresholds import Rule, decision_threshold
from lightning_modules.checkpoints import FITTED
from lightning_modules.metrics import ScoreTable
from lightning_modules.results import Report

Gathered = tuple[Tensor, Tensor, Tensor]  # index, score, target of all clips of all ranks


class MachineData(Protocol):
    """What detectors ask of a data module."""

    clips: Mapping[str, Sequence[Clip]]
    year: int

    @property
    def instances(self) -> Sequence[str]:
        """``<machine>/<section>`` of all normal training clips, sorted."""
        ...

    def reference_dataloader(self) -> Iterable[Batch]:
        """The normal training clips, whole and in order."""
        ...


class AnomalousSoundDetector(LightningModule, ABC):
    """Scores clips, higher = more anomalous; a method is a subclass with a `training_step` and a `score`.

    Args:
        threshold: How the decision threshold of a machine instance follows from the scores of its normal training
            clips.
        threshold_quantile: Share of them that should stay below it.
        optimizer: Made from the trainable parameters.
        lr_scheduler: Made from the optimizer; see `optimization.configure` for when it steps.

    Attributes:
        instances: Machine instances trained on, in the order of their class indices.
        thresholds: Instance -> score above which a clip counts as anomalous; fitted before the first test.
    """

    def __init__(
        self,
        *,
        threshold: Rule = "gamma",
        threshold_quantile: float = 0.9,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        super().__init__()
        self.threshold: Rule = threshold
        self.threshold_quantile = threshold_quantile
        self.optimizer_factory = optimizer
        self.lr_scheduler_factory = lr_scheduler
        self.instances: list[str] = []
        self.thresholds: dict[str, float] = {}
        self.scores = ScoreTable()
        self.gathered: Gathered | None = None

    @abstractmethod
    def score(self, batch: Batch) -> Tensor:
        """Returns one float64 score a clip, (batch,)."""

    @property
    def data(self) -> MachineData:
        """The data module of the running loop."""
        return cast(MachineData, self.trainer.datamodule)  # pyright: ignore[reportAttributeAccessIssue]

    def setup(self, stage: str) -> None:
        """Names the classes after the data's machine instances.

        Raises:
            ValueError: A run continues on other machine instances than it began with.
        """
        if stage == "fit":
            found = list(self.data.instances)
            if self.instances and self.instances != found:
                raise ValueError(
                    f"this run was trained on {', '.join(self.instances)}, and data.root now holds"
                    f" {', '.join(found)}: give the run another id, or the old data"
                )
            self.instances = found

    def instance_index(self, batch: Batch) -> Tensor:
        """int64 (batch,): which of `instances` each clip is of, -1 if none."""
        numbers = {name: number for number, name in enumerate(self.instances)}
        return torch.tensor(
            [numbers.get(name, -1) for name in _instances_of(batch)], device=batch.waveform.device
        )

    def check_instances(self, batch: Batch) -> None:
        """Refuses clips of machine instances that this detector was not trained on.

        Raises:
            ValueError: For such a clip.
        """
        for key, name in zip(batch.key, _instances_of(batch), strict=True):
            if name not in self.instances:
                raise ValueError(
                    f"clip {key} is of {name or 'no machine instance'}: this detector scores clips of"
                    f" {', '.join(self.instances)} alone"
                )

    def configure_optimizers(self) -> Any:
        """Builds the optimizer and its schedule."""
        return optimization.configure(self, self.optimizer_factory, self.lr_scheduler_factory)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Collects scores; `report` evaluates them."""
        self.scores.update(self.score(batch), batch.target, batch.index)

    test_step = predict_step = validation_step

    def on_validation_epoch_end(self) -> None:
        """Logs ``val/score``, the mean over held-out normal clips: the lower, the better they are known."""
        self._gather_scores()
        assert self.gathered is not None
        self.log("val/score", self.gathered[1].mean().float().to(self.device), prog_bar=True)

    def on_test_epoch_end(self) -> None:
        """Gathers the scores of all ranks."""
        self._gather_scores()

    on_predict_epoch_end = on_test_epoch_end

    def _gather_scores(self) -> None:
        index, scores, target = self.scores.compute()
        self.gathered = (index.flatten(), scores.flatten(), target.flatten())  # torchmetrics squeezes one row
        self.scores.reset()

    def on_train_start(self) -> None:
        """Forgets the thresholds of earlier weights."""
        self.thresholds = {}

    def on_test_start(self) -> None:
        """Fits the thresholds to the normal training clips, unless the checkpoint has them."""
        if not self.thresholds:
            self.thresholds = self.fit_thresholds(self.reference_scores())

    @torch.no_grad()
    def reference_scores(self) -> tuple[Tensor, Tensor]:
        """Returns instance (clip,) and score (clip,) of the normal training clips of all ranks."""
        table = ScoreTable().to(self.device)
        for batch in self.reference_batches():
            table.update(self.score(batch), self.instance_index(batch), batch.index)
        _, scores, instance = table.compute()
        return instance.flatten(), scores.flatten()

    def reference_batches(self) -> Iterable[Batch]:
        """Yields the normal training clips on this module's device."""
        for batch in self.data.reference_dataloader():
            batch = self.on_before_batch_transfer(batch, 0)  # as a Trainer does
            yield self.trainer.strategy.batch_to_device(batch, self.device)

    def fit_thresholds(self, reference: tuple[Tensor, Tensor]) -> dict[str, float]:
        """Returns one threshold an instance from `reference_scores`."""
        instance, scores = (column.cpu().numpy() for column in reference)
        return {
            self.instances[number]: decision_threshold(
                scores[instance == number], rule=self.threshold, quantile=self.threshold_quantile
            )
            for number in np.unique(instance[instance >= 0])
        }

    def fitted(self) -> dict[str, Any]:
        """What scoring fitted on training data beside the weights; the checkpoint keeps it."""
        return {"thresholds": self.thresholds}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the order of the classes."""
        checkpoint["instances"] = self.instances

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the order of the classes and what scoring fitted."""
        self.instances = list(checkpoint["instances"])
        if FITTED in checkpoint:
            self.thresholds = dict(checkpoint[FITTED]["thresholds"])

    def report(self, datamodule: MachineData, split: Literal["validation", "test"]) -> Report:
        """Evaluates the scores that the last validation or test loop gathered, as the challenge of the year does."""
        assert self.gathered is not None, "a validation or test loop comes first"
        index, scores, _ = (column.cpu() for column in self.gathered)
        clips = [datamodule.clips[split][row] for row in index.tolist()]
        return detection_report(clips, scores, year=datamodule.year, thresholds=self.thresholds)


def _instances_of(batch: Batch) -> list[str]:
    """Machine instance of each clip; empty where the data set names none."""
    return batch.attributes.get("instance") or [""] * len(batch.key)
