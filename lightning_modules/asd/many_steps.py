"""Several optimizer steps on one loaded batch."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import ReduceLROnPlateau
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from datamodules.clips import Batch


class ManyStepsPerBatch(LightningModule, ABC):
    """Trains on the windows of a batch of clips, shuffled, in several optimizer steps.

    A batch of clips holds thousands of windows. They are analysed once, so that a step costs neither disk nor
    Fourier transforms. Subclasses set ``automatic_optimization = False``.

    Attributes:
        windows_per_step: Windows of an optimizer step.
    """

    windows_per_step: int

    @abstractmethod
    def training_windows(self, batch: Batch) -> tuple[Tensor, ...]:
        """Returns tensors of one row a window."""

    @abstractmethod
    def window_losses(self, *rows: Tensor) -> Tensor:
        """Returns the loss of some of the rows, (window,)."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Takes one optimizer step for every `windows_per_step` windows; returns the mean loss of the steps."""
        with torch.no_grad():
            rows = self.training_windows(batch)
        order = torch.randperm(len(rows[0]), device=rows[0].device)
        parts = order.chunk(self._num_steps(len(order)))
        loss = torch.stack([self._step(*(column[part] for column in rows)) for part in parts]).mean()
        self.log("train/loss", loss, prog_bar=True, batch_size=1)
        self._step_schedule("step")  # once a batch: of a run only the number of batches is known before it
        return loss

    def _num_steps(self, num_windows: int) -> int:
        """Steps of a batch, equal on all ranks: gradients are averaged over ranks in every step."""
        steps = torch.tensor(max(1, round(num_windows / self.windows_per_step)), device=self.device)
        return int(self.trainer.strategy.reduce(steps, reduce_op="min"))

    def _step(self, *rows: Tensor) -> Tensor:
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        loss = self.window_losses(*rows).mean()
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        return loss.detach()

    def on_train_epoch_end(self) -> None:
        """Steps the other schedules; Lightning leaves all to modules that step the optimizer themselves."""
        self._step_schedule("epoch")

    def _step_schedule(self, interval: str) -> None:
        for config in self.trainer.lr_scheduler_configs:
            if config.interval != interval or (self.trainer.current_epoch + 1) % config.frequency:
                continue
            schedule: Any = config.scheduler
            if isinstance(schedule, ReduceLROnPlateau):
                schedule.step(self.trainer.callback_metrics[schedule.monitor])
            else:
                schedule.step()
