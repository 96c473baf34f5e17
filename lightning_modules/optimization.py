"""Optimizers and learning-rate schedules, from the factories of a config to what Lightning expects."""

import math
from collections.abc import Iterable
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable, ReduceLROnPlateau
from lightning_utilities.core.rank_zero import rank_zero_warn
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim import lr_scheduler as schedules
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR


class CosineDecay(LRScheduler):
    """Half a cosine from the base rate to ``min_lr``, stepped once per optimizer step over the whole run.

    The first ``warmup_steps`` steps rise linearly to the base rate.

    Attributes:
        total_steps: Length of the run in optimizer steps; `configure` sets it from the trainer.
    """

    def __init__(
        self, optimizer: Optimizer, min_lr: float = 0.0, warmup_steps: int = 0, total_steps: int | None = None
    ):
        self.min_lr = min_lr
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Rates of all parameter groups at ``last_epoch``, which counts optimizer steps here."""
        if self.last_epoch < self.warmup_steps:
            return [float(base) * (self.last_epoch + 1) / self.warmup_steps for base in self.base_lrs]
        decay_steps = max((self.total_steps or 0) - self.warmup_steps, 1)
        progress = min((self.last_epoch - self.warmup_steps) / decay_steps, 1.0)
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return [self.min_lr + (float(base) - self.min_lr) * cosine for base in self.base_lrs]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes back a checkpoint's curve and the place on it; warns where a run of this length would have another."""
        before = state_dict["total_steps"]
        if before != self.total_steps:
            rank_zero_warn(
                f"lr_scheduler: the rates go on along the checkpoint's curve of {before} steps, not along one of the"
                f" {self.total_steps} of this run: note it with --model.lr_scheduler.total_steps={before}, or begin"
                " another run, with these weights by --model.weights"
            )
        super().load_state_dict(state_dict)


def configure(
    module: LightningModule,
    optimizer: OptimizerCallable,
    lr_scheduler: LRSchedulerCallable | None,
    *,
    parameters: Iterable[Parameter] | Iterable[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Returns what ``LightningModule.configure_optimizers`` owes: the optimizer and when its schedule steps.

    `CosineDecay` steps with the optimizer and learns the run's length; ``OneCycleLR`` steps with the optimizer;
    ``ReduceLROnPlateau`` steps on its monitored value, after each validation where that is one of validation; any
    other schedule steps once an epoch. Methods that make several steps a batch step the first two once a batch.

    Raises:
        ValueError: It waits for a value of validation, and there is none; see also `require_monitor`.
    """
    trainable = parameters if parameters is not None else (p for p in module.parameters() if p.requires_grad)
    built = fused_on_cpu(optimizer(trainable))
    if lr_scheduler is None:
        return {"optimizer": built}
    schedule = lr_scheduler(built)
    require_monitor(schedule)
    settings: dict[str, Any] = {"scheduler": schedule, "interval": "epoch"}
    if isinstance(schedule, CosineDecay | OneCycleLR):
        settings["interval"] = "step"
    if isinstance(schedule, CosineDecay) and schedule.total_steps is None:
        schedule.total_steps = int(module.trainer.estimated_stepping_batches)
    if isinstance(schedule, ReduceLROnPlateau):
        settings["monitor"] = schedule.monitor
        if schedule.monitor.startswith("val/"):
            settings["frequency"] = _epochs_between_validations(module.trainer, schedule.monitor)
    return {"optimizer": built, "lr_scheduler": settings}


def fused_on_cpu(optimizer: Optimizer) -> Optimizer:
    """Lets an optimizer step by one kernel where all parameters are on the CPU and nothing else was asked for.

    It is the same formula, in a quarter of the time. Whether it does is part of the state of an optimizer, so that a
    run that began without goes on without.
    """
    options = ("fused", "foreach", "differentiable", "capturable")
    groups = optimizer.param_groups
    parameters = [each for group in groups for each in group["params"]]
    if "fused" in optimizer.defaults and all(
        type(each) is Parameter and each.device.type == "cpu" for each in parameters
    ):
        for settings in (optimizer.defaults, *groups):
            if not any(settings.get(name) for name in options) and settings["fused"] is None:
                settings["fused"] = True
    return optimizer


def require_monitor(schedule: Any) -> None:
    """Refuses PyTorch's own schedule that waits for a value, which does not say for which.

    Raises:
        ValueError: Names the one that does.
    """
    if isinstance(schedule, schedules.ReduceLROnPlateau) and not isinstance(schedule, ReduceLROnPlateau):
        raise ValueError(
            "PyTorch's ReduceLROnPlateau names no value to wait for: take"
            " --model.lr_scheduler=lightning.pytorch.cli.ReduceLROnPlateau with --model.lr_scheduler.monitor=val/…, a"
            " value that the method logs"
        )


def _epochs_between_validations(trainer: Trainer, monitor: str) -> int:
    data = trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue]
    if trainer.limit_val_batches == 0 or not len(data.rows["validation"]):
        raise ValueError(
            f"lr_scheduler waits for {monitor}, and nothing is validated: hold out a validation split, or set another"
            " lr_scheduler"
        )
    if trainer.check_val_every_n_epoch is None:
        raise ValueError(
            f"lr_scheduler waits for {monitor} at the end of an epoch, and trainer.check_val_every_n_epoch=null"
            " validates whatever the epoch: leave that key out, or set another lr_scheduler"
        )
    return trainer.check_val_every_n_epoch


def decay_weights_only(module: LightningModule) -> list[dict[str, Any]]:
    """Groups trainable parameters so that weight decay spares biases, norms and tables of positions and tokens.

    The rule of DAT and its ancestors: what has one dimension, or a name of a table.
    """
    groups: dict[bool, list[Parameter]] = {True: [], False: []}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            spared = parameter.ndim <= 1 or name.endswith(("_table", "_embed", "_token"))
            groups[not spared].append(parameter)
    return [{"params": groups[True]}, {"params": groups[False], "weight_decay": 0.0}]
