"""Values that a run waits for: best checkpoint, early stopping, schedule."""

import difflib
from collections.abc import Iterator

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from lightning_modules.base import data_of


class Monitors(Callback):
    """Refuses a run that waits for a value which nothing logs, at the first validation or end of an epoch.

    It stands before the callbacks that wait, whose own complaint names neither the key nor the nearest value.

    Args:
        checkpoints: What chooses the best checkpoint; None keeps the last.
    """

    def __init__(self, checkpoints: str | None) -> None:
        self._checkpoints = checkpoints

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Looks whether there is a validation to stop early by.

        Raises:
            ValueError: There is none.
        """
        validated = trainer.limit_val_batches != 0 and len(data_of(trainer).rows.get("validation", ()))
        for key, monitor in self._monitors(trainer):
            if key.endswith("EarlyStopping.monitor") and _of_validation(monitor) and not validated:
                raise ValueError(
                    f"{key} waits for {monitor}, and nothing is validated: hold out a validation split, or stop by a"
                    " value of training, such as train/loss"
                )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compares the values of validation."""
        if not trainer.sanity_checking:
            self._require(trainer, of_validation=True)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compares the others."""
        self._require(trainer, of_validation=False)

    def _require(self, trainer: Trainer, *, of_validation: bool) -> None:
        logged = list(trainer.callback_metrics)
        for key, monitor in self._monitors(trainer):
            if monitor in logged or _of_validation(monitor) != of_validation:
                continue
            near = difflib.get_close_matches(monitor, logged, n=1, cutoff=0.5)
            raise ValueError(
                f"{key}: nothing is logged as {monitor!r}"
                + (f"; did you mean {near[0]!r}?" if near else "")
                + f" Logged are {', '.join(sorted(logged))}"
            )

    def _monitors(self, trainer: Trainer) -> Iterator[tuple[str, str]]:
        if self._checkpoints is not None:
            yield "checkpoints.monitor", self._checkpoints
        for each in trainer.callbacks:  # pyright: ignore[reportAttributeAccessIssue]
            own = isinstance(each, ModelCheckpoint) and each.monitor != self._checkpoints
            if isinstance(each, EarlyStopping) or (own and each.monitor):
                yield f"trainer.callbacks.{type(each).__name__}.monitor", str(each.monitor)
        for config in trainer.lr_scheduler_configs:
            if config.reduce_on_plateau and config.monitor:
                yield "model.lr_scheduler.monitor", config.monitor


def _of_validation(monitor: str) -> bool:
    return monitor.startswith("val/")
