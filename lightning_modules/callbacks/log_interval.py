"""How often a run logs that was not told."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

AT_MOST = 50  # steps, as Lightning has it
_POINTS = 20


class LogInterval(Callback):
    """Logs every 50 steps, and a run of fewer than a thousand about twenty times.

    A restart logs as the run did before.
    """

    def __init__(self) -> None:
        self._steps: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Sets ``trainer.log_every_n_steps``, now that the length of the run is known."""
        if self._steps is None:
            steps = trainer.estimated_stepping_batches
            self._steps = AT_MOST if steps < 0 else int(min(AT_MOST, max(steps // _POINTS, 1)))
        trainer.log_every_n_steps = self._steps  # pyright: ignore[reportAttributeAccessIssue]

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds the interval."""
        checkpoint["log_every_n_steps"] = self._steps

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Takes it back; earlier versions have none."""
        self._steps = checkpoint.get("log_every_n_steps")
