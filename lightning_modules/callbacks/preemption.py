"""A run that is asked to stop leaves with a checkpoint, all ranks at the same step, and exit code 75."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn
from lightning_utilities.core.rank_zero import rank_zero_info

from lightning_modules.callbacks.last_checkpoint import LastCheckpoint
from lightning_modules.callbacks.loops import validation_follows
from lightning_modules.processes.stop_signals import PREEMPTED, STOP
from lightning_modules.run.tracking import PatientWandbLogger


class Preempted(SystemExit):
    """The checkpoint is written; a scheduler reads 75 as: start me again."""

    def __init__(self) -> None:
        super().__init__(PREEMPTED)


class Preemption(Callback):
    """Stops all ranks after the same optimizer step once any of them got a signal.

    Within a validation the checkpoint tells Lightning to run that validation anew, from its first batch.

    Args:
        last: Writes the checkpoint.
    """

    def __init__(self, last: LastCheckpoint) -> None:
        self._last = last
        self._question = _Question()
        self._asked = False
        self._within_validation = False
        self._step = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Spares every training step Lightning's own question, which waits for the device."""
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on there is something to save."""
        self._step = trainer.global_step
        STOP.awaited = True

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves between two epochs, where ``last.ckpt`` has just been written."""
        if self._agreed(trainer):
            self._leave(trainer)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Leaves after an optimizer step, unless validation or the end of the epoch is about to follow."""
        stepped = trainer.global_step != self._step
        self._step = trainer.global_step
        if self._agreed(trainer) and stepped and not validation_follows(trainer):
            trainer._logger_connector.update_train_step_metrics()  # this step's, which Lightning logs after us
            self._last.save(trainer)
            self._leave(trainer)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Leaves a validation within training; what is saved are the weights of training again."""
        if trainer.state.fn == TrainerFn.FITTING and self._agreed(trainer):
            for each in trainer.callbacks:  # pyright: ignore[reportAttributeAccessIssue]
                if isinstance(each, WeightAveraging):  # validation has exchanged them for their average
                    each.on_validation_epoch_end(trainer, pl_module)
            self._within_validation = True
            self._last.save(trainer)
            self._leave(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forgets the batch that a validation was left in, see `on_save_checkpoint`."""
        trainer.fit_loop.epoch_loop.val_loop.batch_progress.total.reset_on_restart()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves after the last epoch; a signal from here on ends the process at once."""
        self._agreed(trainer)  # asked at the batch before; now all ranks ask a last time
        agreed = self._agreed(trainer)
        STOP.awaited = False
        if agreed:
            self._leave(trainer)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Within a validation: as if its first batch were under way, the one state that Lightning resumes from."""
        if not self._within_validation:
            return
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]
        before = progress["total"]["completed"] - progress["current"]["completed"]
        for counter, completed in (("total", before), ("current", 0)):
            progress[counter] = {
                "ready": completed + 1,
                "started": completed + 1,
                "processed": completed,
                "completed": completed,
            }

    def _agreed(self, trainer: Trainer) -> bool:
        if trainer.world_size == 1:
            return STOP.reason is not None
        self._asked |= self._question.answer()
        self._question.ask(STOP.reason is not None, trainer)
        return self._asked

    def _leave(self, trainer: Trainer) -> None:
        for logger in trainer.loggers:
            logger.save()
            if isinstance(logger, PatientWandbLogger):
                logger.tell(lambda run: run.mark_preempting())
        rank_zero_info(
            f"{STOP.reason or 'a signal to another rank'}: stopped at step {trainer.global_step}, exit code"
            f" {PREEMPTED}; the same command continues from {self._last.path}"
        )
        raise Preempted


class _Question:
    """Yes or no of any rank, asked after one batch and answered after the next, so that no device waits."""

    def __init__(self) -> None:
        self._flag = torch.zeros(())
        self._copied: torch.cuda.Event | None = None

    def ask(self, yes: bool, trainer: Trainer) -> None:
        flag = torch.full((), float(yes), device=trainer.strategy.root_device)
        torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
        self._flag = torch.empty((), pin_memory=True).copy_(flag, non_blocking=True) if flag.is_cuda else flag
        if flag.is_cuda:
            self._copied = torch.cuda.Event()
            self._copied.record()

    def answer(self) -> bool:
        if self._copied is not None:
            self._copied.synchronize()
        return bool(self._flag)
