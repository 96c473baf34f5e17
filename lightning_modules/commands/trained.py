"""Trained models, for commands that use them beyond scoring."""

from typing import Any

import torch

from lightning_modules.base import EvaluatedModule
from lightning_modules.trained.checkpoint import trained_parts


def trained_model(ckpt_path: str, *kinds: type[EvaluatedModule], wanted: str) -> Any:
    """The model of a checkpoint, from that file alone, on a GPU where there is one.

    Args:
        ckpt_path: Written by ``fit``.
        kinds: The model must be one of them.
        wanted: Which checkpoints hold one, for the message.

    Raises:
        ValueError: The checkpoint is damaged or of another model.
    """
    model = trained_parts(ckpt_path).model
    if not isinstance(model, kinds):
        raise ValueError(f"{ckpt_path}: holds {type(model).__name__}: name a checkpoint of {wanted}")
    return model.to("cuda" if torch.cuda.is_available() else "cpu")
