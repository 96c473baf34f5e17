"""What a training begins with: the network of an earlier run, of a package, or published weights."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lightning_utilities.core.rank_zero import rank_zero_info
from torch import Tensor, nn

from lightning_modules.hub.sources import local
from lightning_modules.run.encoder_weights import are_of_elsewhere, left_out, require_same
from lightning_modules.run.folder import checkpoint_of

_DESCRIPTION = "package.json"
_MOST_NAMES = 12  # in a line


@dataclass(kw_only=True)
class Weights:
    """Where they come from, where a path alone does not say it.

    Attributes:
        source: Published weights, a checkpoint, the folder of a run (its best checkpoint, or its last), or a package;
            weights and packages of the hub as ``hf://owner/name[/file][@revision]``.
        averaged: Of a run that averages its weights (``overlays/ema.yaml``) take the average, which it is scored by;
            false takes those that the optimizer stepped.
        fresh: Parts of the network that stay as initialized, such as ``classifier``.
    """

    source: str
    averaged: bool = True
    fresh: list[str] = field(default_factory=list)


class Pretrained(NamedTuple):
    """A network's part of a source.

    Attributes:
        path: The file or package.
        tensors: By name.
        fresh: Parts that are not to be taken.
        heads: Head -> class names that its classifier was trained on; empty where the source tells none.
        is_ours: Whether this project wrote it, so that its names are those of the network.
        encoders: Prefix of encoders of which it leaves out what a file has -> SHA-256 of that file.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    fresh: Sequence[str]
    heads: Mapping[str, Sequence[str]]
    is_ours: bool
    encoders: Mapping[str, str]

    def load_into(self, network: nn.Module) -> None:
        """Loads into a network; one line says how much of it was taken and names what was not.

        Raises:
            ValueError: It is of another network.
        """
        from lightning_modules.networks.weights import ReadTensors, completed, load_network, not_taken

        tensors = completed(network, self.tensors) if self.is_ours else self.tensors
        require_same(network, self.encoders)
        for prefix in self.encoders:
            own = network.get_submodule(prefix.rstrip(".")).state_dict(prefix=prefix)
            tensors = own | dict(tensors)
        are_of_elsewhere(network)
        load_network(network, ReadTensors.of(self.path, tensors), fresh=self.fresh)
        if self.is_ours:
            left = not_taken(network, self.tensors)
            taken = f"{len(self.tensors) - len(left)} of {len(self.tensors)} tensors of the network taken"
            rank_zero_info(f"{self.path}: {taken}{f'; not taken: {listed(left)}' if left else ''}")


def read_pretrained(weights: str | Weights) -> Pretrained:
    """Reads a source without running any code that it may hold.

    Raises:
        ValueError: It is missing or damaged, or holds no network.
    """
    from lightning_modules.networks.weights import (  # and with it all networks
        is_of_this_project,
        named_tensors,
        read_file,
    )

    wanted = Weights(source=weights) if isinstance(weights, str) else weights
    path = checkpoint_of(local(wanted.source))
    try:
        content = read_file(path)
    except FileNotFoundError:
        raise ValueError(
            f"model.weights: {path}: no such file, run or package: name published weights, a checkpoint, a run's"
            " folder, or one that lightning_modules.export wrote"
        ) from None
    # the callback of averages keeps both, the average in the usual place
    if isinstance(content, dict) and not wanted.averaged and "current_model_state" in content:
        content = content | {"state_dict": content["current_model_state"]}
    is_checkpoint = isinstance(content, dict) and "state_dict" in content and "config" in content
    is_ours = is_of_this_project(content)
    is_package = is_ours and path.is_dir()  # and no folder of Hugging Face
    return Pretrained(
        path=path,
        tensors=named_tensors(content, path),
        fresh=wanted.fresh,
        heads=content.get("heads", {}) if is_checkpoint else _packaged_heads(path) if is_package else {},
        is_ours=is_ours,
        encoders={
            prefix.removeprefix("network."): sha256
            for prefix, sha256 in (left_out(content) if is_checkpoint else {}).items()
        },
    )


def _packaged_heads(folder: Path) -> dict[str, Any]:
    """Classes that a package names."""
    try:
        described = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder / _DESCRIPTION}: missing or damaged ({error}); export it again") from None
    return described.get("scorer", {}).get("init_args", {}).get("heads") or {}


def listed(names: Sequence[str]) -> str:
    """Some names in a line, and how many more there are."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{', '.join(names[:_MOST_NAMES])}{more}"
