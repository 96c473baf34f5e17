"""A loss that is not finite ends the run before it can reach the weights."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer


class NonFiniteLossError(ValueError):
    """The training loss is NaN or infinite on at least one rank."""


class FiniteLoss(Callback):
    """Stops all ranks before the optimizer step when the loss of any of them is NaN or infinite.

    The flag leaves the device before backward starts and is read after it, so the device never waits.
    """

    def __init__(self) -> None:
        self._finite: Tensor | None = None
        self._copied: torch.cuda.Event | None = None

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Folds the finiteness of this micro-batch into the flag of the coming optimizer step."""
        finite = torch.isfinite(loss.detach()).all().float()
        if trainer.world_size > 1:
            torch.distributed.all_reduce(finite, op=torch.distributed.ReduceOp.MIN)
        flag = torch.empty((), pin_memory=True).copy_(finite, non_blocking=True) if finite.is_cuda else finite
        if finite.is_cuda:
            self._copied = torch.cuda.Event()
            self._copied.record()
        self._check(trainer)
        self._finite = flag

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Raises `NonFiniteLossError` if a loss since the last step was not finite."""
        self._check(trainer)

    def _check(self, trainer: Trainer) -> None:
        if self._finite is None:
            return
        if self._copied is not None:
            self._copied.synchronize()
        finite, self._finite = bool(self._finite), None
        if not finite:
            raise NonFiniteLossError(
                f"the training loss is NaN or infinite at step {trainer.global_step} (epoch {trainer.current_epoch});"
                " the weights are untouched: lower the learning rate, clip gradients"
                " (trainer.gradient_clip_val) or check the data (python -m datamodules.check)"
            )
