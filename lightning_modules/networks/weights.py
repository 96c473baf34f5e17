"""Read weights from any source that holds them and load them strictly, or say in one line why not."""

import hashlib
import logging
import pickle
import re
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lightning_modules.hub.sources import local

logger = logging.getLogger(__name__)

PACKAGED = "model.safetensors"  # the weights within a folder: a package's, or one of Hugging Face
_BEFORE_SAFETENSORS = "pytorch_model.bin"  # within older folders of Hugging Face
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
# Under which checkpoints, published ones and ours, keep their weights beside other things.
_ENTRIES = ("state_dict", "model", "model_state", "model_state_dict")


@runtime_checkable
class Published(Protocol):
    """A network whose weights were published, in a format of their own."""

    def load_official(self, path: str | Path) -> Any:
        """Load them, or weights that this project wrote."""


@runtime_checkable
class Extended(Protocol):
    """A module whose state holds more than that of an earlier version did."""

    def former_state(self) -> Mapping[str, Tensor]:
        """What was not in files then, as it was, by name."""
        ...


class ReadTensors(str):
    """A path whose tensors have been read: `read_file`, and so every ``load_official``, takes them from here."""

    tensors: Mapping[str, Tensor]

    @classmethod
    def of(cls, path: str | Path, tensors: Mapping[str, Tensor]) -> Self:
        """Keep the tensors of a path."""
        found = cls(path)
        found.tensors = tensors
        return found


def load_network(network: nn.Module, path: str | Path, *, fresh: Sequence[str] = ()) -> None:
    """Load weights from any source that `read_weights` knows, published ones by the network's own rules.

    Args:
        network: Takes them.
        path: The source.
        fresh: Parts of the network, such as ``classifier``, that stay as initialized.

    Raises:
        ValueError: The source holds none, or those of another network, or the network has no such part.
    """
    if fresh:
        path = ReadTensors.of(path, _with_own_parts(network, read_weights(path), fresh))
    if isinstance(network, Published):
        network.load_official(path)
    else:
        load_strictly(network, read_weights(path), path)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a network's named tensors, without running any code that the source may hold.

    Args:
        path: A file of PyTorch or of safetensors, published or a checkpoint of this project, or the folder of a package
            or of Hugging Face; or any of these on the hub, see `hub.sources`.

    Raises:
        ValueError: As `read_file` and `named_tensors`.
    """
    return named_tensors(read_file(path), path)


def read_file(path: str | Path) -> Any:
    """Read what a source holds, as it is: plain values and tensors, on the CPU; see `read_weights`.

    Raises:
        ValueError: It is damaged, or holds code, or is what git leaves in the place of a large file.
    """
    if isinstance(path, ReadTensors):
        return dict(path.tensors)
    file = _file_of(local(path))
    with file.open("rb") as opened:
        begin = opened.read(len(_LFS_POINTER))
    if begin == _LFS_POINTER:
        raise ValueError(
            f"{file}: a pointer of git-lfs in the place of the weights: run `git lfs pull` in its folder, or download"
            " the file itself"
        )
    try:
        if begin[8:9] == b"{":  # of safetensors, behind the length of the header
            return load_file(file)
        # The class of a configuration that DAT's files hold is read as a plain dictionary; fairseq's hold a Namespace.
        with torch.serialization.safe_globals([(OrderedDict, "yacs.config.CfgNode"), Namespace]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        needed = re.search(r"GLOBAL (\S+) was not an allowed global", str(error))
        more = f", it needs {needed[1]}: save its tensors alone" if needed else ""
        raise ValueError(f"{file}: not a checkpoint of plain tensors (UnpicklingError{more})") from error
    except Exception as error:  # damaged bytes can be anything to the unpickler
        raise ValueError(f"{file}: not a checkpoint of plain tensors ({type(error).__name__})") from error


def fingerprint(*files: Path) -> str:
    """SHA-256 of the bytes of files, one after the other, in hexadecimal digits."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _file_of(path: Path) -> Path:
    """The weights of a folder; a file is itself."""
    if not path.is_dir():
        return path
    before = path / _BEFORE_SAFETENSORS
    return before if before.is_file() and not (path / PACKAGED).is_file() else path / PACKAGED


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


def is_of_this_project(content: Any) -> bool:
    """Whether what `read_file` gave is a checkpoint or a package of this project, which holds more than a network."""
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    return any(str(key).startswith("network.") for key in state)


def completed(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add to the state of a file of an earlier version what it lacks, as it was then; see `Extended`."""
    missing = {
        f"{prefix}.{name}".lstrip("."): tensor
        for prefix, module in model.named_modules()
        if isinstance(module, Extended)
        for name, tensor in module.former_state().items()
    }
    return missing | dict(state)


def _with_own_parts(
    network: nn.Module, state: Mapping[str, Tensor], parts: Sequence[str]
) -> dict[str, Tensor]:
    """State with the network's own tensors in the place of those of some parts."""
    own = network.state_dict()
    for part in parts:
        if not any(map(_is_of(part), own)):
            there = ", ".join(dict.fromkeys(name.partition(".")[0] for name in own))
            raise ValueError(
                f"fresh: this {type(network).__name__} has no part {part!r}; its parts are {there}"
            )
    is_fresh = {name: any(_is_of(part)(name) for part in parts) for name in [*own, *state]}
    taken = {name: tensor for name, tensor in state.items() if not is_fresh[name]}
    return taken | {name: tensor for name, tensor in own.items() if is_fresh[name]}


def _is_of(part: str) -> Callable[[str], bool]:
    return lambda name: f"{name}.".startswith(f"{part.rstrip('.')}.")


def not_taken(network: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Names of tensors that a network does not hold as they are.

    >>> not_taken(nn.Linear(1, 1), {"weight": torch.zeros(2, 1)})
    ['weight']
    """
    own = network.state_dict()
    return [
        name
        for name, tensor in state.items()
        if name not in own
        or own[name].shape != tensor.shape
        or not torch.equal(own[name], tensor.to(own[name]))
    ]


def load_strictly(model: nn.Module, state: dict[str, Tensor], path: str | Path) -> None:
    """Load weights that must match the model in every key and shape, and log it.

    Raises:
        ValueError: When they do not; the line counts the differences and names the first of each kind.
    """
    state = completed(model, state)
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
