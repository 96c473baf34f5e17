"""Ranks that must run the same configuration, and answer each other in time."""

import datetime as dt
from dataclasses import dataclass

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.distributed.distributed_c10d import _set_pg_timeout, default_pg_timeout

from lightning_modules.run.provenance import changed_lines


@dataclass(kw_only=True)
class Ranks:
    """How several processes train together.

    Attributes:
        timeout_s: How long a rank waits for the others within training before it ends the run. Longer waits than
            this are needed where rank zero writes checkpoints to a very slow disk. Data may be prepared for
            half an hour before.
    """

    timeout_s: float = 50.0

    def __post_init__(self) -> None:
        if self.timeout_s <= 0:
            raise ValueError(f"ranks.timeout_s: {self.timeout_s} is no waiting time; use seconds above 0")


class Agreement(Callback):
    """Stops before training when ranks differ in their configuration, and within training when one hangs.

    Args:
        config: The resolved configuration of this rank as YAML.
        settings: How long to wait.
    """

    def __init__(self, config: str, settings: Ranks) -> None:
        self._config = config
        self._timeout = dt.timedelta(seconds=settings.timeout_s)
        self._patient = True

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Compares the configuration with that of rank zero.

        Raises:
            ValueError: Names a rank that differs, and its lines; on all ranks.
        """
        if trainer.world_size == 1:
            return
        of_rank_zero = trainer.strategy.broadcast(self._config)
        differences: list[list[str]] = [[] for _ in range(trainer.world_size)]
        torch.distributed.all_gather_object(differences, changed_lines(of_rank_zero, self._config))
        for rank, lines in enumerate(differences):
            if lines:
                raise ValueError(
                    f"rank {rank} runs another configuration than rank 0: {'; '.join(lines)}; start all ranks"
                    " with the same command and environment"
                )

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Ends the patience that preparing data and compiling need, once a first step was made."""
        if self._patient and trainer.world_size > 1:
            self._patient = False
            _set_pg_timeout(self._timeout)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Waits longer again: testing begins with data to prepare."""
        if not self._patient:
            self._patient = True
            _set_pg_timeout(default_pg_timeout)
