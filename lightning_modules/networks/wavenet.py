"""Causal WaveNet that imitates amplifiers and pedals, of Wright, Damskägg and Välimäki (DAFx 2019).

Letters: b batch, c channel, t time.
"""

from typing import cast

import torch
from torch import Tensor, nn


class WaveNet(nn.Module):
    """Gated dilated convolutions without padding; the output mixes what all layers give.

    Output sample j belongs to input sample ``j + receptive_field - 1``: an input of n samples gives
    ``n - receptive_field + 1``.

    Args:
        num_knobs: 0 is an effect without knobs; knobs are added to the input of every gate.
        channels: Width of all layers.
        stacks: How often the dilations are gone through.
        layers: Layers of a stack, of dilations 1, 2, 4, ...
        kernel_size: Taps of each layer's convolution.

    Attributes:
        receptive_field: Input samples that an output sample hears.
    """

    look_ahead = 0

    def __init__(
        self, num_knobs: int = 0, *, channels: int = 8, stacks: int = 2, layers: int = 9, kernel_size: int = 3
    ) -> None:
        super().__init__()
        dilations = [2**n for n in range(layers)] * stacks
        self.num_knobs = num_knobs
        self.receptive_field = (kernel_size - 1) * sum(dilations) + 1
        self.widen = nn.Conv1d(1, channels, 1)
        self.layers = nn.ModuleList(
            _Layer(channels, kernel_size, dilation, num_knobs, last=number == len(dilations))
            for number, dilation in enumerate(dilations, 1)
        )
        self.mix = nn.Conv1d(channels * len(dilations), 1, 1)

    def forward(self, waveform: Tensor, knobs: Tensor | None = None) -> Tensor:
        """(batch, 1, time) and knobs (batch, knob) in [-0.5, 0.5] -> (batch, 1, time - receptive_field + 1)."""
        size = waveform.shape[-1] - self.receptive_field + 1
        features, found = self.widen(waveform), []
        for layer in self.layers:
            features, given = cast(_Layer, layer)(features, knobs)
            found.append(given[..., -size:])
        return self.mix(torch.cat(found, dim=1))


class _Layer(nn.Module):
    """One gate; a residual leads on, which nobody needs after the last."""

    def __init__(self, channels: int, kernel_size: int, dilation: int, num_knobs: int, *, last: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(channels, 2 * channels, kernel_size, dilation=dilation)
        self.condition = nn.Linear(num_knobs, 2 * channels, bias=False) if num_knobs else None
        self.residual = None if last else nn.Conv1d(channels, channels, 1)

    def forward(self, features: Tensor, knobs: Tensor | None) -> tuple[Tensor, Tensor]:
        """(b, c, t) -> what the next layer hears and what the output mixes, both (b, c, shorter t)."""
        found = self.convolution(features)
        if self.condition is not None and knobs is not None:
            found = found + self.condition(knobs)[..., None]
        signal, gate = found.chunk(2, dim=1)
        given = signal.tanh() * gate.sigmoid()
        if self.residual is None:
            return features, given
        return self.residual(given) + features[..., -given.shape[-1] :], given
