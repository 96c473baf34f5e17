"""How a run computes its network, whatever the task: compiled, or with activations made anew for the backward pass."""

from collections.abc import Iterable
from functools import partial
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only
from torch.utils.checkpoint import checkpoint

from lightning_modules.base import EvaluatedModule


class CompileNetwork(Callback):
    """Runs the model's ``network`` and its copies (a momentum encoder) through torch.compile.

    The first steps take minutes.

    Args:
        mode: Of torch.compile: ``reduce-overhead`` records CUDA graphs, for networks of many small operations and
            batches of one shape; ``max-autotune`` also tries out kernels.
        dynamic: Compile for any shape at once; null does so when a second shape comes.
    """

    def __init__(
        self,
        mode: Literal["default", "reduce-overhead", "max-autotune"] = "default",
        dynamic: bool | None = None,
    ) -> None:
        self._mode, self._dynamic = mode, dynamic
        self._network: nn.Module | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Compiles once; the first call does the work."""
        network = _network(pl_module)
        if network is self._network:
            return
        self._network = network
        for each in _with_copies(network, pl_module):
            if self._mode != "default":
                each.register_forward_hook(_own)  # pyright: ignore[reportArgumentType]
            each.compile(mode=self._mode, dynamic=self._dynamic)


@torch.compiler.disable
def _own(_network: nn.Module, _inputs: Any, output: Any) -> Any:
    """Copies what the next call would overwrite: scores are kept until the end of an epoch."""
    return tree_map_only(Tensor, torch.clone, output)


class ActivationCheckpointing(Callback):
    """Keeps only the inputs of the network's ``blocks`` and computes the blocks again in the backward pass.

    Less memory for a third more work; gradients are the same to the last bit, dropout included.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Wraps the blocks once.

        Raises:
            ValueError: The network has none.
        """
        for block in blocks_of(_network(pl_module)):
            if "forward" not in vars(block):
                block.forward = partial(checkpoint, block.forward, use_reentrant=False)


def blocks_of(network: nn.Module) -> Iterable[nn.Module]:
    """The parts, one after the other, that a large network names as its ``blocks``.

    Raises:
        ValueError: It names none.
    """
    blocks: Any = getattr(network, "blocks", None)
    if blocks is None:
        raise ValueError(
            f"{type(network).__name__} names no blocks to compute anew or to shard: leave the overlay out, or give"
            " the network an attribute blocks"
        )
    return blocks


def _network(module: LightningModule) -> nn.Module:
    network = module.network if isinstance(module, EvaluatedModule) else None
    if network is None:
        raise ValueError(f"{type(module).__name__} has no single network: leave the overlay out")
    return network


def _with_copies(network: nn.Module, module: LightningModule) -> list[nn.Module]:
    names = network.state_dict().keys()
    same = (each for each in module.modules() if type(each) is type(network) and each is not network)
    return [network, *(each for each in same if each.state_dict().keys() == names)]
