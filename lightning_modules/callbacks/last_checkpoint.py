"""The checkpoint that a restart continues from."""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn

from lightning_modules.callbacks.loops import epoch_ends, followed_by, validation_follows


class LastCheckpoint(Checkpoint):
    """Keeps ``path`` up to date: every ``every_n_train_steps`` optimizer steps and at the end of every epoch.

    A step that a validation follows is left to the end of that validation or epoch, so that a restart never has to
    guess whether it has run. The end of an epoch is where Lightning has counted and logged it, after the last hook.

    Args:
        path: The checkpoint.
        previous: Where the one before it lives on, for the case that the disk damages the newer one.
        every_n_train_steps: Optimizer steps between two saves.
    """

    def __init__(self, path: Path, *, previous: Path, every_n_train_steps: int) -> None:
        self.path = path
        self.previous = previous
        self.every_n_train_steps = every_n_train_steps
        self._saved_step = -1

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Has itself told when an epoch has ended."""
        if stage == "fit":
            loop: Any = trainer.fit_loop
            loop.on_advance_end = followed_by(loop.on_advance_end, lambda: self.save(trainer))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begins at a saved step: a save before the next would lose the gradients accumulated since."""
        self._saved_step = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Saves when the step count is due and no validation is about to follow."""
        if self._due(trainer) and not validation_follows(trainer):
            self.save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves after a validation within an epoch when the step count was due before it."""
        if trainer.state.fn == TrainerFn.FITTING and self._due(trainer) and not epoch_ends(trainer):
            self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Renews the checkpoint now; all ranks take part."""
        self._saved_step = trainer.global_step
        trainer.save_checkpoint(self.path, storage_options={"previous": self.previous})

    def _due(self, trainer: Trainer) -> bool:
        every = self.every_n_train_steps  # a batch may make several steps, and pass over a multiple
        return trainer.global_step // every > max(self._saved_step, 0) // every
