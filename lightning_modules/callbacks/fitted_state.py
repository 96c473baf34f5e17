"""Keeps what scoring fits on training clips in the run's folder, and fits it anew where it no longer holds."""

from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_modules.base import EvaluatedModule, data_of
from lightning_modules.run.fitted import (
    Fitted,
    Source,
    clips_hash,
    read_fitted,
    settings_of,
    weights_hash,
    write_fitted,
)
from lightning_modules.run.folder import Run


def run_of(checkpoint: str | Path) -> Path:
    """The folder of the run that a checkpoint is of."""
    return Path(checkpoint).resolve().parent.parent


def source_of(model: EvaluatedModule, settings: str, clips: str | None = None) -> Source:
    """Where what the model fits comes from."""
    state = {
        name: value for name, value in model.state_dict().items() if not name.startswith(model.training_only)
    }
    return Source(settings, weights_hash(state), clips)


class FittedState(Callback):
    """Restores thresholds and the like before a test or a prediction, where settings, weights and clips are the same.

    Where the training clips are not at hand, settings and weights decide. A prediction without them keeps what an older
    checkpoint holds.

    Args:
        run: Whose folder keeps it.
        config: The resolved configuration as YAML.
        checkpoint: What is scored with, where it was named: its run's folder is looked into too.
    """

    def __init__(self, run: Run, config: str, checkpoint: str | Path | None) -> None:
        self._folders = [run.folder, *([run_of(checkpoint)] if checkpoint else [])]
        self._settings = settings_of(yaml.safe_load(config))
        self._new: Source | None = None

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restores, or lets the module fit anew."""
        if isinstance(pl_module, EvaluatedModule) and pl_module.fits_on_training_clips:
            source = source_of(pl_module, self._settings, _training_clips(trainer))
            found = self._found(trainer, source)
            pl_module.restore(found or Fitted())
            self._new = None if found else source

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes what was fitted anew."""
        if self._new is not None and trainer.is_global_zero:
            assert isinstance(pl_module, EvaluatedModule)
            write_fitted(self._folders[0], self._new, pl_module.fitted())

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restores; nobody asks for training clips here."""
        if not isinstance(pl_module, EvaluatedModule) or not pl_module.fits_on_training_clips:
            return
        if found := self._found(trainer, source_of(pl_module, self._settings)):
            pl_module.restore(found)

    def _found(self, trainer: Trainer, source: Source) -> Fitted | None:
        """What rank zero reads, on all ranks."""
        return trainer.strategy.broadcast(
            read_fitted(self._folders, source) if trainer.is_global_zero else None
        )


def _training_clips(trainer: Trainer) -> str | None:
    data: Any = data_of(trainer)
    try:
        data.setup("fit")
    except (ValueError, OSError):  # tested elsewhere than trained
        return None
    return clips_hash(data.rows["train"])
