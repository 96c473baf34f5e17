"""Keeps what scoring fits on training clips in the run's folder, and fits it anew where it no longer holds."""

from functools import partial
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from lightning_modules.base import EvaluatedModule, data_of
from lightning_modules.run.fitted import (
    Fitted,
    Origin,
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


def origin_of(model: EvaluatedModule, settings: str, clips: str | None = None) -> Origin:
    """Where what the model fits comes from."""
    state = model.state_dict().items()
    kept = {name: value for name, value in state if not name.startswith(model.training_only)}
    return Origin(settings, weights_hash(kept), clips)


def training_clips(datamodule: Any) -> str | None:
    """Hash of the clips that are fitted to; None where they are not at hand, as on a machine that only tests."""
    try:
        datamodule.setup("fit")
    except (ValueError, OSError):
        return None
    return clips_hash(datamodule.rows["train"])


class FittedState(Callback):
    """Restores thresholds and the like before a split is scored, where settings, weights and clips are the same.

    Where the training clips are not at hand, settings and weights decide; without them an older checkpoint's own
    thresholds count. A prediction asks for no training clips.

    Args:
        run: Whose folder keeps it.
        config: The resolved configuration as YAML.
        checkpoint: What is scored with, where it was named: its run's folder is looked into too.
    """

    def __init__(self, run: Run, config: str, checkpoint: str | Path | None) -> None:
        self._folders = [run.folder, *([run_of(checkpoint)] if checkpoint else [])]
        self._settings = settings_of(yaml.safe_load(config))
        self._new: Origin | None = None

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restores, or lets the module fit anew."""
        self._new = None
        if not isinstance(pl_module, EvaluatedModule) or not pl_module.fits_on_training_clips:
            return
        clips = training_clips(data_of(trainer))
        if not self._restore(trainer, pl_module, clips) and clips is not None:
            pl_module.restore(Fitted())
            self._new = origin_of(pl_module, self._settings, clips)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes what was fitted anew."""
        if self._new is not None and trainer.is_global_zero:
            assert isinstance(pl_module, EvaluatedModule)
            write_fitted(self._folders[0], self._new, pl_module.fitted())

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restores where nothing is trained: decisions are those of a test."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._restore(trainer, pl_module, training_clips(data_of(trainer)))

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restores."""
        self._restore(trainer, pl_module, None)

    def _restore(self, trainer: Trainer, pl_module: LightningModule, clips: str | None) -> bool:
        """Whether there was something; rank zero reads for all."""
        if not isinstance(pl_module, EvaluatedModule) or not pl_module.fits_on_training_clips:
            return False
        origin = origin_of(pl_module, self._settings, clips)
        find = partial(read_fitted, self._folders, origin, partial(training_clips, data_of(trainer)))
        found = trainer.strategy.broadcast(find() if trainer.is_global_zero else None)
        if found:
            pl_module.restore(found)
        return bool(found)
