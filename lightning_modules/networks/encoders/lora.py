"""Low-rank adaptation: beside linear layers that stay as they are, products of two thin matrices train.

Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (ICLR 2022), through the library ``peft``, whose
names of parameters these are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(kw_only=True)
class LoRA:
    """Which layers W x become W x + alpha / rank B A x, of which A, of random values, and B, of zeros, train.

    Attributes:
        targets: Names of linear layers, or what their names end in after a dot.
        rank: Rows of A and columns of B.
        alpha: Weighs the product.
        dropout: Of the input of A.
    """

    targets: list[str]
    rank: int = 8
    alpha: float = 8.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what is no rank.

        Raises:
            ValueError: It is below 1.
        """
        if self.rank < 1:
            raise ValueError(f"lora.rank={self.rank}: must be at least 1")


def add_lora(network: nn.Module, lora: LoRA) -> None:
    """Adapt layers of a network in place; no parameter but the new ones trains afterwards.

    Raises:
        ValueError: A target is none of its linear layers, or peft is not installed.
    """
    _refuse_other_targets(network, lora.targets)
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ValueError(
            f"trainable=lora: {error}: pip install 'audio-research-platform[encoders]'"
        ) from None
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # pyright: ignore[reportArgumentType]  # which peft divides by the rank
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
    )
    inject_adapter_in_model(config, network)
    del network.peft_config  # of peft's own way to save


def _refuse_other_targets(network: nn.Module, targets: Sequence[str]) -> None:
    modules = dict(network.named_modules())
    linear = sorted(
        {name.rpartition(".")[2] for name, each in modules.items() if isinstance(each, nn.Linear)}
    )
    for target in targets:
        matched = [each for name, each in modules.items() if f".{name}".endswith(f".{target}")]
        if not matched or not all(isinstance(each, nn.Linear) for each in matched):
            raise ValueError(
                f"lora.targets: {target!r} is none of the linear layers of {type(network).__name__}, which are"
                f" {', '.join(linear)}"
            )
    if not targets:
        raise ValueError(f"lora.targets: name some of the linear layers: {', '.join(linear)}")


def adapted(network: nn.Module) -> Iterator[tuple[str, Any]]:
    """The adapted layers, peft's, by name."""
    for name, module in network.named_modules():
        if hasattr(module, "lora_A"):
            yield name, module


def refuse_without_effect(network: nn.Module, states: Tensor) -> None:
    """See that every part that trains has a part in what a network computed.

    A layer may be found and never be called, where a module above it reads its weight itself.

    Args:
        network: With adapted layers.
        states: Computed by it, of any shape.

    Raises:
        ValueError: Some have none; names the first.
    """
    trainable = {name: each for name, each in network.named_parameters() if each.requires_grad}
    if not trainable:
        raise ValueError(f"lora.targets: none lies below the layers that this {type(network).__name__} gives")
    reached = states.requires_grad
    gradients = (
        torch.autograd.grad(states.sum(), list(trainable.values()), allow_unused=True) if reached else ()
    )
    unused = [name for name, gradient in zip_longest(trainable, gradients) if gradient is None]
    if unused:
        layers = list(dict.fromkeys(name.partition(".lora_")[0] for name in unused))
        raise ValueError(
            f"lora.targets: {len(layers)} layers of {type(network).__name__} would train without any effect, as what"
            f" holds them does not call them ({layers[0]}{', ...' if len(layers) > 1 else ''}): name others"
        )


@torch.no_grad()
def merge_lora(network: nn.Module) -> None:
    """Add the products to the weights that they stand beside, in place; names are those of before."""
    for name, layer in list(adapted(network)):
        layer.merge()
        network.set_submodule(name, layer.get_base_layer())
