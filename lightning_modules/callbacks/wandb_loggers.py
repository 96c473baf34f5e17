"""The W&B runs of a trainer, for callbacks that tell them more than numbers."""

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import WandbLogger


def wandb_loggers(trainer: Trainer) -> list[WandbLogger]:
    """The W&B loggers on rank zero; none on other ranks and where W&B is disabled."""
    if not trainer.is_global_zero:
        return []
    return [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]


def wandb_runs(trainer: Trainer) -> list[Any]:
    """Their runs."""
    return [logger.experiment for logger in wandb_loggers(trainer)]
