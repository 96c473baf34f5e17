"""Trained models, for commands that use them beyond scoring."""

import logging
from typing import Any

import torch

from lightning_modules.base import EvaluatedModule
from lightning_modules.config.cli import build
from lightning_modules.run.checkpoints import load_weights


def trained_model(ckpt_path: str, *kinds: type[EvaluatedModule], wanted: str) -> Any:
    """The model of a checkpoint, from that file alone, on a GPU where there is one.

    Args:
        ckpt_path: Written by ``fit``.
        kinds: The model must be one of them.
        wanted: Which checkpoints hold one, for the message.

    Raises:
        ValueError: The checkpoint is damaged or of another model.
    """
    logging.disable(logging.INFO)  # remarks of a trainer that is built and, with --check, writes nothing
    try:
        model = build("predict", "", [f"--ckpt_path={ckpt_path}", "--check"]).model
    finally:
        logging.disable(logging.NOTSET)
    if not isinstance(model, kinds):
        raise ValueError(f"{ckpt_path}: holds a {type(model).__name__}: name a checkpoint of {wanted}")
    load_weights(model, ckpt_path)
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
