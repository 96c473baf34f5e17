"""Load an encoder of speech from any file that holds one, strictly, or say in one line why not."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_modules.hub.sources import local
from lightning_modules.networks.encoders.architectures import ARCHITECTURES, Architecture, named
from lightning_modules.networks.encoders.speech_files import read_speech
from lightning_modules.networks.encoders.speech_names import PRETRAINING, in_huggingface
from lightning_modules.networks.weights import describe_difference, fingerprint

logger = logging.getLogger(__name__)


def load_speech(model: Any, path: str | Path, architecture: Architecture) -> str:
    """Fill a model without weights, on the meta device, from a file; see `read_speech` for which.

    What pre-training alone needs, and the other parts of a fine-tuned detector, are left out and named in the log.

    Args:
        model: Of `build_model`.
        path: Of the weights.
        architecture: Of the model.

    Returns:
        The fingerprint of the file.

    Raises:
        ValueError: The file is missing, damaged, or of another encoder, or holds a tensor too many.
    """
    path = local(path).expanduser()
    try:
        found = read_speech(path)
    except FileNotFoundError:
        raise ValueError(
            f"weights: {path}: no such file or folder; where it has moved, say so by"
            " --model.network.encoder.weights="
        ) from None
    if found.architecture is not None:
        _refuse_other(path, found.architecture, architecture)
    state = encoder_tensors(found.tensors, path, architecture)
    if difference := describe_difference(model.state_dict(), state):
        raise ValueError(f"{path}: not the tensors of this {type(model).__name__}: {difference}")
    halves = sorted({str(each.dtype) for each in state.values() if each.dtype != torch.float32})
    model.load_state_dict({name: tensor.float() for name, tensor in state.items()}, assign=True)
    logger.info("%s: loaded %d tensors from %s", type(model).__name__, len(state), path)
    if halves:
        logger.info("%s: converted to float32, from %s", path, ", ".join(halves))
    return fingerprint(*found.files)


def encoder_tensors(
    tensors: Mapping[str, Tensor], path: str | Path, architecture: Architecture
) -> dict[str, Tensor]:
    """An encoder's tensors by Hugging Face's names, without what pre-training alone needs and a detector's other parts.

    Raises:
        ValueError: They are of another encoder.
    """
    state, others = in_huggingface(tensors, path, family=architecture.family)
    _refuse_other_sizes(path, state, architecture)
    dropped = [name for name in PRETRAINING[architecture.family] if name in state]
    if dropped:
        logger.info("%s: left out, of pre-training: %s", path, ", ".join(dropped))
    if others:
        logger.info("%s: left out, other parts of the detector: %s", path, ", ".join(others))
    return {name: tensor for name, tensor in state.items() if name not in dropped}


def _refuse_other(path: Path, found: Architecture, wanted: Architecture) -> None:
    if found != wanted:
        known = " or ".join(named(found))
        remedy = f"set name to {known}" if known else "set name and sizes to the file's"
        raise ValueError(f"{path}: its configuration says {', '.join(wanted.differences(found))}: {remedy}")


def _refuse_other_sizes(path: str | Path, state: Mapping[str, Tensor], wanted: Architecture) -> None:
    """Tells a file of other width or depth in a line that names the encoder, where there is one."""
    projection = state["feature_projection.projection.weight"]
    first = state.get("encoder.layers.0.feed_forward.intermediate_dense.weight")
    width, depth = (
        len(projection),
        len({name.split(".")[2] for name in state if name.startswith("encoder.layers.")}),
    )
    if (width, depth) != (wanted.width, wanted.depth) and first is not None:
        known = [
            name
            for name, each in ARCHITECTURES.items()
            if (each.width, each.depth, each.feed_forward) == (width, depth, len(first))
        ]
        raise ValueError(
            f"{path}: an encoder of width {width} and {depth} blocks, not of {wanted.width} and {wanted.depth}: set"
            f" name to {' or '.join(known) if known else 'that of this file, or sizes to its sizes'}"
        )
