"""Read published checkpoints and load them strictly, or say in one line why not."""

import logging
import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

logger = logging.getLogger(__name__)


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read a file of named tensors, without running any code it may hold.

    Raises:
        ValueError: When the file is no PyTorch checkpoint or holds anything else than named tensors.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path}: not a checkpoint of plain tensors ({type(error).__name__})") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path}: expected a flat state_dict, tensors by name")
    return dict(state)


def load_strictly(model: nn.Module, state: dict[str, Tensor], path: str | Path) -> None:
    """Load weights that must match the model in every key and shape, and log it.

    Raises:
        ValueError: When they do not; the line counts the differences and names the first of each kind.
    """
    expected = model.state_dict()
    differences = {
        "missing": sorted(expected.keys() - state.keys()),
        "unexpected": sorted(state.keys() - expected.keys()),
        "of another shape": [
            f"{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}"
            for key, value in expected.items()
            if key in state and state[key].shape != value.shape
        ],
    }
    found = [f"{len(keys)} {kind} (first: {keys[0]})" for kind, keys in differences.items() if keys]
    if found:
        name = type(model).__name__
        raise ValueError(f"{path}: weights of another model than this {name}: keys {', '.join(found)}")
    model.load_state_dict(state)
    logger.info("%s: loaded %d tensors from %s", type(model).__name__, len(state), path)
