"""Trained models, for commands that use them beyond scoring."""

from typing import Any

import torch

from lightning_modules.base import EvaluatedModule
from lightning_modules.config.parts import Parts
from lightning_modules.trained.checkpoint import trained_parts


def trained_model(ckpt_path: str, *kinds: type[EvaluatedModule], wanted: str) -> Any:
    """The model of `trained_tool`."""
    return trained_tool(ckpt_path, *kinds, wanted=wanted).model


def trained_tool(ckpt_path: str, *kinds: type[EvaluatedModule], wanted: str) -> Parts:
    """The model of a checkpoint, from that file alone, on a GPU where there is one, and what it was trained on.

    Args:
        ckpt_path: Written by ``fit``.
        kinds: The model must be one of them.
        wanted: Which checkpoints hold one, for the message.

    Raises:
        ValueError: The checkpoint is damaged or of another model.
    """
    parts = trained_parts(ckpt_path)
    if not isinstance(parts.model, kinds):
        raise ValueError(f"{ckpt_path}: holds {type(parts.model).__name__}: name a checkpoint of {wanted}")
    parts.model.to("cuda" if torch.cuda.is_available() else "cpu")
    return parts
