"""Read published checkpoints and load them strictly, or say in one line why not."""

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

logger = logging.getLogger(__name__)


def read_state_dict(path: str | Path, *, entry: str = "") -> dict[str, Tensor]:
    """Read a file of named tensors, without running any code it may hold.

    The prefix ``module.``, with which a network in `nn.DataParallel` saves its names, is left out.

    Args:
        path: The file.
        entry: Name of the tensors' entry, where the file holds other things beside them.

    Raises:
        ValueError: When the file is no PyTorch checkpoint or holds anything else than named tensors.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes can be anything to the unpickler
        if getattr(error, "filename", None):  # missing or unreadable, as its own message says
            raise
        raise ValueError(f"{path}: not a checkpoint of plain tensors ({type(error).__name__})") from error
    if isinstance(state, dict) and entry in state:
        state = state[entry]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path}: expected a flat state_dict, tensors by name")
    return {key.removeprefix("module."): value for key, value in state.items()}


def load_strictly(model: nn.Module, state: dict[str, Tensor], path: str | Path) -> None:
    """Load weights that must match the model in every key and shape, and log it.

    Raises:
        ValueError: When they do not; the line counts the differences and names the first of each kind.
    """
    if difference := describe_difference(model.state_dict(), state):
        raise ValueError(f"{path}: weights of another model than this {type(model).__name__}: {difference}")
    model.load_state_dict(state)
    logger.info("%s: loaded %d tensors from %s", type(model).__name__, len(state), path)


def keep_own_head(
    model: nn.Module, state: dict[str, Tensor], prefix: str, path: str | Path
) -> dict[str, Tensor]:
    """Put the model's own head into `state` where the one of the checkpoint is for other classes, and log it.

    Args:
        model: The model.
        state: Weights to load into it.
        prefix: With which the names of the head's tensors begin, in both.
        path: Of the checkpoint, for the log.
    """
    own = {key: value for key, value in model.state_dict().items() if key.startswith(prefix)}
    theirs = {key: value for key, value in state.items() if key.startswith(prefix)}
    if not describe_difference(own, theirs):
        return state
    left_out = ", ".join(f"{key} {tuple(value.shape)}" for key, value in theirs.items()) or "none there"
    logger.warning("%s: the head stays as initialized; left in %s: %s", type(model).__name__, path, left_out)
    return {key: value for key, value in state.items() if key not in theirs} | own


def describe_difference(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> str:
    """Say in one line how two state dicts differ in names and shapes; empty when they do not.

    >>> describe_difference({"a": torch.zeros(2)}, {"a": torch.zeros(3), "b": torch.zeros(1)})
    '1 unexpected (b); 1 of another shape (a: (3,) instead of (2,))'
    """
    reshaped = [
        f"{key}: {tuple(theirs[key].shape)} instead of {tuple(value.shape)}"
        for key, value in ours.items()
        if key in theirs and theirs[key].shape != value.shape
    ]
    differences = {
        "missing": [key for key in ours if key not in theirs],
        "unexpected": [key for key in theirs if key not in ours],
        "of another shape": reshaped,
    }
    return "; ".join(
        f"{len(keys)} {kind} ({keys[0]}{', ...' if len(keys) > 1 else ''})"
        for kind, keys in differences.items()
        if keys
    )
