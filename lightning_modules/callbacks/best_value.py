"""The best value so far, for W&B's sweeps."""

import math
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from lightning_modules.run.tracking import wandb_loggers


class BestValue(Callback):
    """Logs to W&B, as ``best/<monitor>``, the best value of a validation: that of the checkpoint that is tested.

    A sweep compares runs by the last value that they logged, which of ``<monitor>`` itself is that of the last
    validation.

    Args:
        monitor: What chooses the best checkpoint.
        mode: Whether the smallest or the largest value is best.
    """

    def __init__(self, monitor: str, mode: Literal["min", "max"]) -> None:
        self._monitor, self._mode = monitor, mode
        self._best = math.nan

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Looks at the new value; one that is undefined is none."""
        if trainer.state.fn != TrainerFn.FITTING or self._monitor not in trainer.callback_metrics:
            return
        found = [float(trainer.callback_metrics[self._monitor]), self._best]
        known = [value for value in found if not math.isnan(value)]
        if known:
            self._best = min(known) if self._mode == "min" else max(known)
            for logger in wandb_loggers(trainer):
                logger.log_metrics({f"best/{self._monitor}": self._best})

    def state_dict(self) -> dict[str, Any]:
        """The best value, for a checkpoint."""
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from there."""
        self._best = state_dict["best"]
