"""By what rule layers are trained on a CPU: forms that are faster there than PyTorch's own, at its numbers."""

from functools import cache
from typing import Literal, get_args

import torch
from torch import Tensor, nn

Rule = Literal["torch", "avx2-1", "avx512-1"]
"""By what forms are chosen; it never changes, for a run that goes on keeps its own: another one gets a new name."""

RULES: tuple[Rule, ...] = get_args(Rule)


@cache
def rule_of_this_cpu() -> Rule:
    """The rule that was measured on such CPUs; "torch" on others."""
    by_capability: dict[str, Rule] = {"AVX2": "avx2-1", "AVX512": "avx512-1"}
    return by_capability.get(torch.backends.cpu.get_cpu_capability(), "torch")


class Ruled:
    """A layer that goes by a rule.

    Attributes:
        rule: Chooses the forms; begins as that of this CPU.
    """

    rule: Rule


def use_rule(network: nn.Module, rule: Rule) -> None:
    """Lets all layers of a network go by one rule; see `Ruled`."""
    for module in network.modules():
        if isinstance(module, Ruled):
            module.rule = rule


def is_trained_on_cpu(x: Tensor) -> bool:
    """Whether gradients of x (float32 or float64) may be asked for, on a CPU, and nothing rewrites the operations."""
    return (
        torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and x.numel() > 0
    )
