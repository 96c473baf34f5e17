"""From waveforms to scores: what is left of a Lightning module when training is over.

The arguments of a scorer are its attributes, of the same names: a package keeps modules by their class paths and
arguments, and all else as plain values.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Aggregate = Literal["mean", "max", "min"]
"""How scores of a long recording's windows become one."""


class Scorer(nn.Module):
    """Front end, network and scoring rule as one module: (batch, channel, time) -> (batch,) or (batch, class).

    Clips of a batch have one length, that of the crop where there is one: a scorer hears all of a waveform. Loaders of
    evaluation give such batches. With `length` a rule tells a clip from what its crop was filled with.

    Args:
        network: Maps features, or waveforms, to an `Output`.
        frontend: Maps waveforms to features; None feeds the waveforms themselves.

    Attributes:
        meaning: What a score says, in words.
        heads: Head -> class names by index of (batch, class) scores, heads side by side; empty for (batch,).
        min_samples: Samples of the shortest clip that has a score.
        over_windows: How the scores of a long recording's windows become one, see `package.tally.Tally`.
        obstacle: Why a package cannot hold it, empty where it can.
        tells_filling: Whether a clip is told from what its crop was filled with.
    """

    meaning: str
    heads: Mapping[str, Sequence[str]]
    min_samples = 1
    over_windows: Aggregate = "mean"
    obstacle = ""
    tells_filling = True

    def __init__(self, network: nn.Module, frontend: nn.Module | None = None) -> None:
        super().__init__()
        self.network, self.frontend = network, frontend
        self.heads = {}
        if frontend is None:  # the network hears the waveform itself
            self.min_samples = getattr(network, "min_samples", 1)


def at_least_float32(scores: Tensor) -> Tensor:
    """Scores in float32, where half precision would tie them; those of a float64 model stay float64."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))
