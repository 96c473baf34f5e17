"""Encoders whose weights were published: what of a file is the encoder's, what its head's, what is dropped."""

import logging
import re
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from torch import Tensor

from lightning_modules.hub.sources import local
from lightning_modules.networks.encoders.encoder import Encoder
from lightning_modules.networks.weights import fingerprint, load_strictly, named_tensors, read_file

logger = logging.getLogger(__name__)


class Parts(NamedTuple):
    """Tensors of a published file.

    Attributes:
        encoder: Under the names of our encoder.
        head: Of what classified, by module: ``norm.weight``, ``norm.bias``, ``weight``, ``bias``; empty where the file
            holds an encoder alone.
        dropped: Names of those that are of neither.
    """

    encoder: dict[str, Tensor]
    head: dict[str, Tensor]
    dropped: list[str]


class PublishedEncoder(Encoder):
    """An encoder that loads published weights strictly."""

    @abstractmethod
    def parts(self, path: str | Path) -> Parts:
        """Reads published weights.

        Raises:
            ValueError: The file is damaged, or of another network.
        """

    def begin_with(self, weights: str | None) -> None:
        """Loads the weights that the constructor was given, if any, and notes their fingerprint."""
        if weights is not None:
            self.load_official(weights)
            self.weights_sha256 = source_fingerprint(weights)

    def load_official(self, path: str | Path) -> Self:
        """Load published weights; the log names what of a file is left.

        Raises:
            ValueError: The file is damaged, or of another network, or holds tensors that nothing here expects.
        """
        parts = self.parts(path)
        load_strictly(self, parts.encoder, path)
        left = [*(f"head {name}" for name in parts.head), *parts.dropped]
        logger.info("%s: left in %s: %s", type(self).__name__, path, ", ".join(left) or "nothing")
        return self


def source_fingerprint(source: str | Path) -> str:
    """Of the file of weights, or of those of a folder."""
    path = local(source)
    return fingerprint(*(sorted(path.glob("*.safetensors")) if path.is_dir() else [path]))


def content_of(path: str | Path) -> Any:
    """What a file or folder holds.

    Raises:
        ValueError: It is missing or damaged.
    """
    try:
        return read_file(path)
    except FileNotFoundError as error:
        raise ValueError(
            f"{error.filename}: no such file: name published weights, or null, in the encoder's init_args.weights"
        ) from None


def read(path: str | Path) -> dict[str, Tensor]:
    """Tensors of a file or folder by name.

    Raises:
        ValueError: It is missing or damaged, or holds no tensors by name.
    """
    content = content_of(path)
    model = content.get("model") if isinstance(content, Mapping) else None
    if isinstance(model, Mapping):  # fairseq keeps an average of the weights among them
        own = {name: value for name, value in model.items() if name != "_ema"}
        content = {**content, "model": own}
    return named_tensors(content, path)


def part(state: Mapping[str, Tensor], *, head: Mapping[str, str], dropped: str = r"(?!)") -> Parts:
    """Parts tensors.

    Args:
        state: By the names of our encoder, but for those of head and of what is dropped.
        head: Published name of a module of the head -> its name in `Parts`.
        dropped: Regular expression of names that are of neither.
    """
    parts = Parts({}, {}, [])
    for name, tensor in state.items():
        module, _, kind = name.rpartition(".")
        if re.match(dropped, name):
            parts.dropped.append(name)
        elif module in head:
            parts.head[f"{head[module]}.{kind}".lstrip(".")] = tensor
        else:
            parts.encoder[name] = tensor
    return parts
