"""The callbacks that every run has: checkpoints, random states, guards, the way out on a signal, and monitoring."""

from dataclasses import dataclass
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_modules.callbacks.alerts import Alerts
from lightning_modules.callbacks.best_checkpoint import BestCheckpoint
from lightning_modules.callbacks.best_value import BestValue
from lightning_modules.callbacks.convolution_rule import ConvolutionRule
from lightning_modules.callbacks.embedding_map import EmbeddingMap
from lightning_modules.callbacks.evaluation_media import EvaluationMedia
from lightning_modules.callbacks.finite_loss import FiniteLoss
from lightning_modules.callbacks.fitted_state import FittedState
from lightning_modules.callbacks.last_checkpoint import LastCheckpoint
from lightning_modules.callbacks.optimizer_monitor import OptimizerMonitor
from lightning_modules.callbacks.preemption import Preemption
from lightning_modules.callbacks.provenance import Provenance
from lightning_modules.callbacks.random_state import RandomState
from lightning_modules.callbacks.ranks import Agreement, Ranks
from lightning_modules.callbacks.scoring import FixedWeights
from lightning_modules.callbacks.throughput import Throughput
from lightning_modules.run.evaluations import Evaluations
from lightning_modules.run.folder import Run


@dataclass(kw_only=True)
class Checkpoints:
    """Which checkpoints a run keeps.

    Attributes:
        monitor: Logged value that chooses the best checkpoint; null keeps and scores the last one.
        mode: Whether the smallest or the largest value is best.
        save_top_k: How many of the best to keep.
        average_best: Of how many of the best, which are kept then, the mean of the weights is written as
            ``best-average.ckpt`` at the end of training and scores from then on; null averages none.
        every_n_train_steps: How often ``last.ckpt`` is renewed within an epoch; it is at every epoch's end too.
    """

    monitor: str | None = "val/eer"
    mode: Literal["min", "max"] = "min"
    save_top_k: int = 1
    average_best: int | None = None
    every_n_train_steps: int = 500

    def __post_init__(self) -> None:
        limits = {"save_top_k": (self.save_top_k, -1), "every_n_train_steps": (self.every_n_train_steps, 1)}
        for key, (value, least) in limits.items():
            if value < least:
                raise ValueError(f"checkpoints.{key}: expected at least {least}, found {value}")
        if self.average_best is None:
            return
        if self.average_best < 2:
            raise ValueError(f"checkpoints.average_best: expected at least 2, found {self.average_best}")
        if self.monitor is None:
            raise ValueError(
                "checkpoints.average_best: none is best without checkpoints.monitor: set both or none"
            )

    @property
    def num_kept(self) -> int:
        """How many of the best are kept, -1 for all."""
        return self.save_top_k if self.save_top_k < 0 else max(self.save_top_k, self.average_best or 0)


class ConfigInCheckpoint(Callback):
    """Puts the resolved configuration into every checkpoint, so that the file alone tells what scores."""

    def __init__(self, config: str) -> None:
        self.config = config

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds the YAML text."""
        checkpoint["config"] = self.config


def best_checkpoint(run: Run, settings: Checkpoints) -> list[BestCheckpoint]:
    """What keeps the best checkpoints; none where nothing is monitored."""
    if settings.monitor is None:
        return []
    return [BestCheckpoint(run, monitor=settings.monitor, mode=settings.mode, save_top_k=settings.num_kept)]


def standard_callbacks(
    run: Run,
    settings: Checkpoints,
    ranks: Ranks,
    config: str,
    checkpoint: str | None,
    evaluations: Evaluations,
) -> list[Callback]:
    """Returns the callbacks in the order in which they must act; the best checkpoint is known before ``last``."""
    last = LastCheckpoint(
        run.last_checkpoint,
        previous=run.previous_checkpoint,
        every_n_train_steps=settings.every_n_train_steps,
    )
    return [
        Agreement(config, ranks),
        ConfigInCheckpoint(config),
        RandomState(),
        ConvolutionRule(),
        FiniteLoss(),
        FixedWeights(),
        FittedState(run, config, checkpoint),
        *monitoring(run, config, evaluations),
        *([BestValue(settings.monitor, settings.mode)] if settings.monitor else []),
        Preemption(last),
        *best_checkpoint(run, settings),
        last,
    ]


def monitoring(run: Run, config: str, evaluations: Evaluations) -> list[Callback]:
    """Returns what only watches; before `Preemption`, which may end the process."""
    return [
        Provenance(run, config, evaluations),
        Alerts(),
        OptimizerMonitor(),
        Throughput(),
        EvaluationMedia(run, evaluations),
        EmbeddingMap(run, evaluations),
    ]
