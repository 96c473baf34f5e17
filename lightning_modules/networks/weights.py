"""Read weights from any source that holds them and load them strictly, or say in one line why not."""

import json
import logging
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

logger = logging.getLogger(__name__)

PACKAGED = "model.safetensors"  # the weights within a package's folder
# Under which checkpoints, published ones and ours, keep their weights beside other things.
_ENTRIES = ("state_dict", "model", "model_state", "model_state_dict")


@runtime_checkable
class Published(Protocol):
    """A network whose weights were published, in a format of their own."""

    def load_official(self, path: str | Path) -> Any:
        """Load them, or weights that this project wrote."""


def load_network(network: nn.Module, path: str | Path) -> None:
    """Load weights from any source that `read_weights` knows, published ones by the network's own rules.

    Raises:
        ValueError: The source holds none, or those of another network.
    """
    if isinstance(network, Published):
        network.load_official(path)
    else:
        load_strictly(network, read_weights(path), path)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a network's named tensors, without running any code that the source may hold.

    Args:
        path: A file of PyTorch or of safetensors, published or a checkpoint of this project, or a package's folder.

    Raises:
        ValueError: As `read_file` and `named_tensors`.
    """
    return named_tensors(read_file(path), path)


def class_names(path: str | Path) -> dict[str, list[str]]:
    """Read which classes the head of a checkpoint or package of this project tells apart: label -> names by index.

    Empty for a detector, and for published weights, which do not say.
    """
    if Path(path).is_dir():
        spec = json.loads((Path(path) / "package.json").read_text(encoding="utf-8"))["scorer"]
        heads = spec["init_args"].get("heads", {})
    else:
        content = read_file(path)
        heads = content.get("heads", {}) if isinstance(content, dict) else {}
    return {str(head): list(names) for head, names in heads.items()} if isinstance(heads, dict) else {}


def read_file(path: str | Path) -> Any:
    """Read what a source holds, as it is: plain values and tensors, on the CPU; see `read_weights`.

    Raises:
        ValueError: It is damaged, or holds code.
    """
    file = Path(path) / PACKAGED if Path(path).is_dir() else Path(path)
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        # The class of a configuration that DAT's files hold is read as a plain dictionary.
        with torch.serialization.safe_globals([(OrderedDict, "yacs.config.CfgNode")]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except (FileNotFoundError, PermissionError):  # as their own messages say
        raise
    except Exception as error:  # damaged bytes can be anything to the unpickler
        raise ValueError(f"{file}: not a checkpoint of plain tensors ({type(error).__name__})") from error


def named_tensors(content: Any, path: str | Path) -> dict[str, Tensor]:
    """Find the network's tensors in what `read_file` gave.

    Left out are the prefix ``module.``, with which a network in `nn.DataParallel` saves its names, and what lies beside
    a network in a checkpoint or a package of this project, where its names begin with ``network.``.

    Raises:
        ValueError: There are none.
    """
    for entry in _ENTRIES:
        if isinstance(content, dict) and entry in content:
            content = content[entry]
            break
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"{path}: expected a flat state_dict, tensors by name")
    state = {key.removeprefix("module."): value for key, value in content.items()}
    own = {key: value for key, value in state.items() if key.startswith("network.")}
    return {key.removeprefix("network."): value for key, value in own.items()} or state


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
