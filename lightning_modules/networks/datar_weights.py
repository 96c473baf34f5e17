"""Fit weights of the published DAT code to a DATAR of other maps, windows, channels and classes."""

import logging
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from lightning_modules.networks.weights import keep_own_head

logger = logging.getLogger(__name__)

_BUFFERS = ("relative_position_index", "attn_mask")


def adapt_official(model: nn.Module, state: dict[str, Tensor], path: str | Path) -> dict[str, Tensor]:
    """Fit published weights to `model`, and log the name of each tensor that does not stay as it is.

    Args:
        model: A DATAR.
        state: Published weights.
        path: Of the checkpoint, for the log.

    Returns:
        State for a strict load; it differs in name or shape only where the weights are those of another model.
    """
    own = model.state_dict()
    # What follows from the settings, and what the published network does not have, is the model's own.
    absent = {key: value for key, value in own.items() if key.startswith("adaptor.") and key not in state}
    kept = absent | {key: value for key, value in own.items() if key.endswith(_BUFFERS)}
    dropped = [key for key in state if key.endswith(_BUFFERS)]
    if not any("conv_offset" in key for key in own):
        dropped += [key for key in state if "conv_offset" in key]
    _log("computed or initialized, not loaded", list(kept), path)
    _log("left out", dropped, path)
    state = {key: value for key, value in state.items() if key not in dropped}
    adapted = {key: _fit(key, value, own[key].shape) for key, value in state.items() if key in own}
    changes = [
        f"{key} {tuple(state[key].shape)} -> {tuple(value.shape)}"
        for key, value in adapted.items()
        if value is not state[key]
    ]
    _log("adapted", changes, path)
    return keep_own_head(model, state | adapted | kept, "cls_head.", path)


def _log(what: str, names: list[str], path: str | Path) -> None:
    logger.info("DATAR: %s, of %s: %s", what, path, ", ".join(names) or "none")


def _fit(name: str, value: Tensor, shape: torch.Size) -> Tensor:
    """Published rules for tables of biases; a kernel of three colours is added up, as for a grey image."""
    if value.shape == shape:
        return value
    if name == "patch_proj.0.weight" and value.shape[1] == 3 and shape[1] == 1:
        return value.sum(dim=1, keepdim=True)
    if name.endswith("rpe_table") and value.ndim == 3 and len(value) == shape[0]:
        return _stretch(value, shape[1], shape[2])
    if name.endswith("relative_position_bias_table") and value.ndim == 2 and value.shape[1] == shape[1]:
        old, new = (round(size**0.5) for size in (len(value), shape[0]))
        table = rearrange(value, "(y x) head -> head y x", y=old)
        return rearrange(_stretch(table, new, new), "head y x -> (y x) head")
    return value


def _stretch(tables: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(tables[None], (height, width), mode="bicubic")[0]
