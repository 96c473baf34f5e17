"""Temporal convolutional network with knobs, of Steinmetz and Reiss (AES 152, 2022; arXiv:2102.06200).

Reference: github.com/csteinmetz1/micro-tcn. Letters: b batch, c channel, t time.
"""

from itertools import pairwise
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

_CONDITION = 32  # width of what the knobs become


class TCN(nn.Module):
    """Dilated convolutions without padding; the knobs scale and shift every channel of every block (FiLM).

    Output sample j belongs to input sample ``j + receptive_field - 1 - look_ahead``: an input of n samples gives
    ``n - receptive_field + 1``, the last of which, where the network is causal, belongs to the input's last. The
    official crop of the causal residual is one sample older; here residual and convolution end together.

    Args:
        num_knobs: 0 is an effect without knobs; blocks are then normalised with an affine map of their own.
        blocks: Number of blocks.
        kernel_size: Taps of each block's convolution.
        growth: Dilation of a block relative to the one before.
        channels: Width of all blocks.
        causal: Without it as much of the future is heard as of the past.
        output: ``tanh`` as published; ``linear``; or ``gain``: the network gives the natural logarithm of a gain, by
            which the input is multiplied, which suits dynamics processors.

    Attributes:
        receptive_field: Input samples that an output sample hears.
        look_ahead: How many of them are in its future.
    """

    def __init__(
        self,
        num_knobs: int = 0,
        *,
        blocks: int = 4,
        kernel_size: int = 5,
        growth: int = 10,
        channels: int = 32,
        causal: bool = True,
        output: Literal["tanh", "linear", "gain"] = "tanh",
    ) -> None:
        super().__init__()
        if output not in ("tanh", "linear", "gain"):
            raise ValueError(f"output must be tanh, linear or gain, found {output!r}")
        dilations = [growth**n for n in range(blocks)]
        self.receptive_field = (kernel_size - 1) * sum(dilations) + 1
        self.look_ahead = 0 if causal else (self.receptive_field - 1) // 2
        self.num_knobs, self.output = num_knobs, output
        self.condition = _condition(num_knobs)
        self.blocks = nn.ModuleList(
            _Block(channels if n else 1, channels, kernel_size, dilation, causal, num_knobs > 0)
            for n, dilation in enumerate(dilations)
        )
        self.mix = _Convolution(channels, 1, 1)
        if output == "gain":
            nn.init.zeros_(self.mix.weight)  # begins as the identity
            nn.init.zeros_(self.mix.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, waveform: Tensor, knobs: Tensor | None = None) -> Tensor:
        """(batch, 1, time) and knobs (batch, knob) in [-0.5, 0.5] -> (batch, 1, time - receptive_field + 1)."""
        condition = self.condition(knobs) if self.num_knobs else None
        features = waveform.reshape(len(waveform), 1, -1, 1).permute(
            0, 3, 1, 2
        )  # (b, 1, 1, t), channels last
        for block in self.blocks:
            features = block(features, condition)
        found = self.mix(features).squeeze(2)
        if self.output == "gain":
            return found.float().exp() * _crop(waveform, found.shape[-1], self.look_ahead)
        return found.tanh() if self.output == "tanh" else found


class _Convolution(nn.Conv1d):
    """Along the last axis of maps (b, c, 1, t) in channels last, in which a training step takes 2/3 of the time."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """(b, c, 1, t) -> (b, c', 1, shorter t)."""
        found = F.conv2d(input, self.weight.unsqueeze(2), self.bias, dilation=(1, *self.dilation))
        return found.contiguous(memory_format=torch.channels_last)


class _Block(nn.Module):
    """Convolution, FiLM, PReLU; a scaled copy of the input is added."""

    def __init__(
        self, inner: int, outer: int, kernel_size: int, dilation: int, causal: bool, conditioned: bool
    ) -> None:
        super().__init__()
        self.look_ahead = 0 if causal else (kernel_size - 1) * dilation // 2
        self.convolution = _Convolution(inner, outer, kernel_size, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm2d(outer, affine=not conditioned)
        self.film = nn.Linear(_CONDITION, 2 * outer) if conditioned else None
        self.activation = nn.PReLU(outer)
        self.residual = nn.Conv1d(inner, outer, 1, groups=inner, bias=False)  # whose weight is all of it

    def forward(self, features: Tensor, condition: Tensor | None) -> Tensor:
        """(b, c, 1, t) and (b, 32) -> (b, c, 1, shorter t)."""
        found = self.norm(self.convolution(features))
        if self.film is not None and condition is not None:
            scale, shift = rearrange(self.film(condition), "b (two c) -> two b c 1 1", two=2)
            found = torch.addcmul(shift, found, scale)
        residual = _crop(features, found.shape[-1], self.look_ahead)
        return torch.addcmul(self.activation(found), residual, self.residual.weight.reshape(1, -1, 1, 1))


def _condition(num_knobs: int) -> nn.Module:
    """Knobs (b, knob) -> (b, 32)."""
    if num_knobs == 0:
        return nn.Identity()
    sizes = pairwise([num_knobs, 16, _CONDITION, _CONDITION])
    return nn.Sequential(*(layer for pair in sizes for layer in (nn.Linear(*pair), nn.ReLU())))


def _crop(features: Tensor, size: int, look_ahead: int) -> Tensor:
    """The last `size` samples but `look_ahead`."""
    end = features.shape[-1] - look_ahead
    return features[..., end - size : end]
