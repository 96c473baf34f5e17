"""Scoring by PyTorch in fewer operations, clips at a time as the cache of a CPU holds."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from lightning_modules.package.scorers import Scorer

_SAMPLES = 1 << 18
"""Of the clips that are scored at a time. More leave the cache, and AASIST and LCNN take half as long again."""


class Eager:
    """A scorer as it is, or on a CPU simplified, to the same scores but for rounding; it is called as the scorer is.

    What is not plain float weights on a CPU is left alone: other devices, autocast, compiled or sharded networks.

    Args:
        scorer: In evaluation mode, on its device; weights that change later count no more.
    """

    def __init__(self, scorer: Scorer) -> None:
        from lightning_modules.networks.inference import simplified  # and with it all networks

        self.is_simplified = _is_plain(scorer)
        self._scorer = simplified(scorer) if self.is_simplified else scorer

    def __call__(self, waveform: Tensor, *others: Tensor | None) -> Tensor:
        """Scores clips (batch, channel, time), with what else the scorer takes of each, (batch,)."""
        if not self.is_simplified:
            return self._scorer(waveform, *others)
        size = max(1, _SAMPLES // waveform[0].numel())
        columns = (each if each is None else each.split(size) for each in others)
        parts = zip(waveform.split(size), *(_endless(each) for each in columns), strict=False)
        return torch.cat([self._scorer(*part) for part in parts])


def _endless(column: Any) -> Any:
    return iter(lambda: None, 0) if column is None else column


def _is_plain(scorer: nn.Module) -> bool:
    """Whether `simplified` applies: weights are parameters of their layers, neither shards nor made of others."""
    from lightning_modules.networks.inference import is_compiled

    parameters, parts = [*scorer.parameters()], [*scorer.modules()]
    weights = [*parameters, *scorer.buffers()]
    layers = [each for each in parts if isinstance(each, nn.Linear | _ConvNd)]
    kinds = {torch.float32, torch.float64}
    return (
        not torch.is_autocast_enabled("cpu")
        and all(each.device.type == "cpu" for each in weights)
        and all(each.dtype in kinds for each in weights if each.is_floating_point())
        and all(type(each) is nn.Parameter for each in parameters)
        and all(each._parameters.get("weight") is not None for each in layers)
        and not any(is_compiled(each) for each in parts)
    )
