"""Turn an encoder of speech from fairseq's names into Hugging Face's and back, every byte kept."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_modules.networks.encoders.architectures import ARCHITECTURES, Architecture
from lightning_modules.networks.encoders.hugging_face import build_model
from lightning_modules.networks.encoders.speech_files import read_speech
from lightning_modules.networks.encoders.speech_names import (
    PRETRAINING,
    Layout,
    in_huggingface,
    layout_of,
    renamed,
)
from lightning_modules.networks.weights import describe_difference


class Converted(NamedTuple):
    """An encoder in another layout.

    Attributes:
        tensors: By the names of the layout, in the order of the source.
        architecture: What a configuration says of it.
        left_out: Names of a fine-tuned detector's other parts.
    """

    tensors: dict[str, Tensor]
    architecture: Architecture
    left_out: list[str]


def converted(source: Path, *, to: Layout, name: str | None = None) -> Converted:
    """Convert what a file or folder holds.

    Args:
        source: As `read_speech` takes it.
        to: The layout wanted.
        name: Of the architecture, where the source does not tell it.

    Raises:
        ValueError: It has that layout already, does not tell its architecture, or lacks a tensor or has one too many.
    """
    found = read_speech(source)
    architecture = found.architecture
    if architecture is None:
        if name is None:
            raise ValueError(
                f"{source}: says nothing of its architecture, of which its tensors do not tell the heads of attention:"
                f" name it with --name, one of {', '.join(ARCHITECTURES)}"
            )
        architecture = ARCHITECTURES[name]
    elif name is not None and ARCHITECTURES[name] != architecture:
        differences = ", ".join(ARCHITECTURES[name].differences(architecture))
        raise ValueError(f"{source}: says {differences} of {name}: leave --name out")
    layout, _ = layout_of(found.tensors, source)
    if layout == to:
        raise ValueError(f"{source}: has {to}'s names already")
    state, others = in_huggingface(found.tensors, source, family=architecture.family)
    _refuse_other_tensors(source, state, architecture)
    if to == "huggingface":
        tensors = _beside_pretraining(state, architecture)
    else:
        names = {name: renamed(name, to=to, layer_norm=architecture.layer_norm) or name for name in state}
        tensors = {names[name]: tensor for name, tensor in state.items()}
    return Converted(tensors, architecture, list(others))


def _refuse_other_tensors(source: Path, state: dict[str, Tensor], architecture: Architecture) -> None:
    with torch.device("meta"):
        model = build_model(architecture)
    of_pretraining = PRETRAINING[architecture.family]
    theirs = {name: tensor for name, tensor in state.items() if name not in of_pretraining}
    if difference := describe_difference(model.state_dict(), theirs):
        raise ValueError(f"{source}: not the tensors of this {type(model).__name__}: {difference}")


def _beside_pretraining(state: dict[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """Names as in a model of Hugging Face for pre-training, where the encoder is one part of it."""
    of_pretraining = PRETRAINING[architecture.family]
    if architecture.family != "wav2vec2" or not any(name in state for name in of_pretraining):
        return state
    return {
        name if name in of_pretraining else f"{architecture.family}.{name}": each
        for name, each in state.items()
    }
