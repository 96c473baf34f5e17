"""Trained models, for commands that use them beyond scoring."""

import logging
from typing import Any

import torch

from lightning_modules.checkpoints import load_weights
from lightning_modules.cli import build


def trained_model(ckpt_path: str, *methods: str, wanted: str) -> Any:
    """The model of a checkpoint, from that file alone, on a GPU where there is one.

    Args:
        ckpt_path: Written by ``fit``.
        methods: The model must have one of them.
        wanted: Which checkpoints do, for the message.

    Raises:
        ValueError: The checkpoint is damaged or its model has none of the methods.
    """
    logging.disable(logging.INFO)  # remarks of a trainer that is built and, with --check, writes nothing
    try:
        model = build("predict", "", [f"--ckpt_path={ckpt_path}", "--check"]).model
    finally:
        logging.disable(logging.NOTSET)
    if not any(hasattr(model, method) for method in methods):
        raise ValueError(f"{ckpt_path}: holds a {type(model).__name__}: name a checkpoint of {wanted}")
    load_weights(model, ckpt_path)
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
