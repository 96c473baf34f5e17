"""The method in a checkpoint, built from that file alone."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lightning_modules.callbacks.fitted_state import origin_of, run_of, training_clips
from lightning_modules.config.parts import Parts, build_parts
from lightning_modules.run.checkpoints import carried_config, load_checkpoint, read_checkpoint
from lightning_modules.run.encoder_weights import as_built
from lightning_modules.run.fitted import read_fitted, settings_of


def trained_parts(path: str | Path) -> Parts:
    """Builds the method and the data module of a checkpoint and loads its weights, ready to score.

    Raises:
        ValueError: The file is damaged, carries no configuration, or is of another model than that.
    """
    return parts_of(read_checkpoint(path), path)


def parts_of(checkpoint: dict[str, Any], path: str | Path, config: Mapping[str, Any] | None = None) -> Parts:
    """As `trained_parts`, of a checkpoint that has been read, and perhaps of another configuration than its own."""
    if config is None:
        if "config" not in checkpoint:
            raise ValueError(f"{path}: carries no configuration: load_model takes one as config=")
        config = carried_config(checkpoint)
    assert config is not None
    method = config["model"]
    arguments = as_built(method.get("init_args", {}), checkpoint)
    if "weights" in arguments:
        arguments["weights"] = None  # the checkpoint replaces them, and their file may be on another machine
    parts = build_parts({**config, "model": {**method, "init_args": arguments}})
    load_checkpoint(parts.model, checkpoint, path, training_only=parts.model.training_only)
    parts.model.eval()
    return parts


def restore_fitted(parts: Parts, path: str | Path) -> None:
    """Gives a method what a test with these weights fitted on training clips, from the checkpoint's run.

    Raises:
        ValueError: It is not there, and scoring needs it.
    """
    model = parts.model
    if not model.fits_on_training_clips:
        return
    origin = origin_of(model, settings_of(parts.config))
    if found := read_fitted([run_of(path)], origin, partial(training_clips, parts.datamodule)):
        model.restore(found)
    if not model.can_score:
        raise ValueError(
            f"{path}: its scores need what a test fits on the training clips: run python -m lightning_modules.test"
            f" --ckpt_path {path} first"
        )
