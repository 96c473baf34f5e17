"""What Lightning leaves out of a checkpoint, and what it does otherwise in an epoch that a restart begins within."""

from typing import Any

import yaml
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import (
    Checkpoint,
    EarlyStopping,
    GradientAccumulationScheduler,
    StochasticWeightAveraging,
)
from torch import Tensor

_STOPS = ("callbacks", "max_time")  # settings of a trainer that stop a run before its last epoch
_SET_EPOCHS_UP = (GradientAccumulationScheduler, StochasticWeightAveraging)  # and keep that in no checkpoint


class Continuation(Checkpoint):
    """Makes a restarted run do what the undisturbed one does, at the end of an epoch above all.

    Schedules that wait for a value, as ``ReduceLROnPlateau``, step before the checkpoints of an epoch's end are written
    and in every epoch. The values that callbacks and schedules choose by, and that training is to stop, go into the
    checkpoint: a validation before the restart counts, and a run that was stopped early trains no further, unless
    what stops it has been changed. A checkpoint of an epoch's end begins with the next epoch, under
    ``trainer.max_steps`` too; one within an epoch with what callbacks had set up for it.

    Stands before all other checkpoint callbacks.

    Args:
        config: The resolved configuration as YAML.
    """

    def __init__(self, config: str) -> None:
        self._trainer = yaml.safe_load(config).get("trainer") or {}
        self._metrics: dict[str, Tensor] = {}
        self._between_epochs = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Steps schedules that wait for a value; Lightning does later, and not in an epoch of a restart."""
        loop = trainer.fit_loop
        if loop.epoch_loop._num_ready_batches_reached():
            loop.epoch_loop.update_lr_schedulers("epoch", update_plateau_schedulers=True)
        loop._restarting = True  # until this epoch has been counted: as Lightning tells itself not to step

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds the values and the wish to stop."""
        metrics = trainer.callback_metrics.items()
        checkpoint["callback_metrics"] = {name: value.detach().cpu().clone() for name, value in metrics}
        checkpoint["should_stop"] = trainer.should_stop

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Takes them back before Lightning looks at its loops and callbacks."""
        self._metrics = checkpoint.get("callback_metrics", {})
        self._between_epochs = _count_epoch(checkpoint["loops"]["fit_loop"])
        before = yaml.safe_load(checkpoint.get("config", "")) or {}
        same = all(before.get("trainer", {}).get(key) == self._trainer.get(key) for key in _STOPS)
        trainer.should_stop = checkpoint.get("should_stop", False) and same
        for each in trainer.early_stopping_callbacks:
            assert isinstance(each, EarlyStopping)
            if state := checkpoint["callbacks"].get(each.state_key):
                state["patience"] = each.patience  # a setting, which Lightning would take from the checkpoint

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hands out the values; between epochs nothing is under way that a loop has to finish."""
        moved = {name: value.to(pl_module.device) for name, value in self._metrics.items()}
        trainer._logger_connector._callback_metrics.update(moved)
        self._metrics = {}
        if self._between_epochs:
            loop = trainer.fit_loop
            epoch = loop.epoch_loop
            for each in (
                loop,
                epoch,
                epoch.automatic_optimization,
                epoch.manual_optimization,
                epoch.val_loop,
            ):
                each._restarting = False
            epoch.reset_restart_stage()
            self._between_epochs = False
        elif trainer.fit_loop.restarted_mid_epoch:
            _set_epoch_up_again(trainer, pl_module)


def _set_epoch_up_again(trainer: Trainer, module: LightningModule) -> None:
    """Calls the callbacks that an epoch began with, and leaves rates and buffers as the checkpoint has them."""
    groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
    kept = [{name: value for name, value in group.items() if name != "params"} for group in groups]
    buffers = [buffer.clone() for buffer in module.buffers()]
    for each in trainer.callbacks:  # pyright: ignore[reportAttributeAccessIssue]
        if isinstance(each, _SET_EPOCHS_UP):
            each.on_train_epoch_start(trainer, module)
    for group, before in zip(groups, kept, strict=True):
        group.update(before)
    for buffer, before in zip(module.buffers(), buffers, strict=True):
        buffer.copy_(before)


def _count_epoch(loops: dict[str, Any]) -> bool:
    """Counts an epoch as completed whose last hooks wrote the checkpoint; whether the checkpoint lies between epochs.

    An epoch that ``max_steps`` or the like cut short is none: it goes on where it was.
    """
    progress = loops["epoch_progress"]
    if progress["current"]["processed"] < progress["current"]["ready"]:
        return False
    is_whole = loops["epoch_loop.batch_progress"]["is_last_batch"]
    for counter in progress.values():
        done = counter["ready"] if is_whole else counter["ready"] - 1
        counter["processed"] = counter["completed"] = done
    return is_whole
