"""The checkpoint that a restart continues from."""

from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint


class LastCheckpoint(Checkpoint):
    """Keeps ``path`` up to date: every ``every_n_train_steps`` optimizer steps and at the end of every epoch.

    A step that ends an epoch is left to the epoch's end, after validation, so that a restart never has to guess
    whether that validation has run.

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

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begins at a saved step: a save before the next would lose the gradients accumulated since."""
        self._saved_step = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Saves when the step count is due and no validation is about to follow."""
        # a batch may make several steps, and pass over a multiple
        due = trainer.global_step // self.every_n_train_steps > self._saved_step // self.every_n_train_steps
        if due and not trainer.is_last_batch:
            self.save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves the state after the epoch's validation."""
        self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Renews the checkpoint now; all ranks take part."""
        self._saved_step = trainer.global_step
        trainer.save_checkpoint(self.path, storage_options={"previous": self.previous})
