"""Nes2Net-X: nested Res2Nets on the hidden states of a pretrained encoder.

Source: Liu et al., "Nes2Net: A lightweight nested architecture for foundation model driven speech anti-spoofing"
(IEEE TIFS 2025). Modules bear the published names. Shape letters: b clip, c channel, t time, s state.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.networks.back_ends.back_end import BackEnd
from lightning_modules.networks.back_ends.layer_sum import LayerSum
from lightning_modules.networks.back_ends.pooling import AttentiveStatistics
from lightning_modules.networks.encoders.encoder import Hidden
from lightning_modules.networks.output import Output

Pooling = Literal["mean", "attentive_statistics"]


class _SqueezeExcitation(nn.Module):
    """Scales channels by what their means tell."""

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        self.se = nn.Sequential(
            nn.AdaptiveAvgPool1d(1),
            nn.Conv1d(channels, channels // ratio, 1),
            nn.ReLU(),
            nn.Conv1d(channels // ratio, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scale (b, c, t)."""
        return x * self.se(x)


class _Bottle2neck(nn.Module):
    """A Res2Net block whose slices hear all those before, each as a state of its own and in a learnt sum."""

    def __init__(self, channels: int, *, scale: int, dilation: int, se_ratio: int) -> None:
        super().__init__()
        self.width = channels // scale
        inner, steps = self.width * scale, scale - 1
        self.conv1 = nn.Conv1d(channels, inner, 1)
        self.bn1 = nn.BatchNorm1d(inner)
        self.convs = nn.ModuleList(
            nn.Conv2d(self.width, self.width, (3, 1), dilation=(dilation, 1), padding=(dilation, 0))
            for _ in range(steps)
        )
        self.bns = nn.ModuleList(nn.BatchNorm2d(self.width) for _ in range(steps))
        self.weighted_sum = nn.ParameterList(
            torch.full((1, 1, 1, states), 1 / states) for states in range(2, steps + 2)
        )
        self.conv3 = nn.Conv1d(inner, channels, 1)
        self.bn3 = nn.BatchNorm1d(channels)
        self.se = _SqueezeExcitation(channels, se_ratio)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (b, c, t)."""
        *slices, last = self.bn1(F.relu(self.conv1(x))).unsqueeze(3).split(self.width, dim=1)
        states, sums = last, []  # states (b, c / scale, t, s), one more with each slice
        for piece, conv, norm, weight in zip(slices, self.convs, self.bns, self.weighted_sum, strict=True):
            states = norm(F.relu(conv(torch.cat([states, piece], dim=3))))
            sums.append((states * weight).sum(dim=3))
        joined = torch.cat([*sums, last.squeeze(3)], dim=1)
        return self.se(self.bn3(F.relu(self.conv3(joined)))) + x


class _NestedRes2Net(nn.Module):
    """Groups of channels, of which each hears the output of the one before; then pooling over time."""

    def __init__(
        self,
        channels: int,
        num_classes: int,
        *,
        groups: int,
        scale: int,
        dilation: int,
        se_ratio: int,
        pooling: Pooling,
    ) -> None:
        super().__init__()
        self.width = channels // groups
        self.Build_in_Res2Nets = nn.ModuleList(
            _Bottle2neck(self.width, scale=scale, dilation=dilation, se_ratio=se_ratio)
            for _ in range(groups - 1)
        )
        self.bns = nn.ModuleList(nn.BatchNorm1d(self.width) for _ in range(groups - 1))
        self.bn = nn.BatchNorm1d(channels)
        self.pooling = AttentiveStatistics(channels) if pooling == "attentive_statistics" else None
        self.fc = nn.Linear(channels if self.pooling is None else 2 * channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Embed (b, c, t) as (b, c) or (b, 2 c)."""
        *groups, last = x.split(self.width, dim=1)
        outputs, before = [], 0.0
        for group, block, norm in zip(groups, self.Build_in_Res2Nets, self.bns, strict=True):
            before = norm(F.relu(block(before + group)))
            outputs.append(before)
        joined = F.relu(self.bn(torch.cat([*outputs, last], dim=1)))
        return joined.mean(dim=2) if self.pooling is None else self.pooling(joined)


class Nes2NetX(BackEnd):
    """Res2Nets within a Res2Net, without a projection of the hidden states before them.

    What fills the batch is heard, padding too.

    Args:
        num_classes: Number of logits; of two, logit 1 is bona fide, and a clip's published score.
        dim: Width of a hidden state.
        num_layers: Number of hidden states of a time step, which are summed by learnt weights.
        groups: Of the channels, the outer nest; they divide ``dim``.
        scale: Slices of a group, the inner nest.
        dilation: Of the convolutions over time.
        se_ratio: By which squeeze and excitation narrows its channels.
        pooling: The ``mean`` over time, or `AttentiveStatistics`.

    Raises:
        ValueError: ``groups`` do not divide ``dim``.
    """

    classifier = "Nested_Res2Net_TDNN.fc"

    def __init__(
        self,
        num_classes: int = 2,
        *,
        dim: int = 1024,
        num_layers: int = 1,
        groups: int = 8,
        scale: int = 8,
        dilation: int = 2,
        se_ratio: int = 1,
        pooling: Pooling = "mean",
    ) -> None:
        super().__init__(dim=dim, num_layers=num_layers)
        if dim % groups:
            raise ValueError(f"groups={groups} must divide dim={dim}")
        self.layer_sum = LayerSum(num_layers)
        self.Nested_Res2Net_TDNN = _NestedRes2Net(
            dim,
            num_classes,
            groups=groups,
            scale=scale,
            dilation=dilation,
            se_ratio=se_ratio,
            pooling=pooling,
        )
        self.embedding_dim = self.Nested_Res2Net_TDNN.fc.in_features

    def forward(self, hidden: Hidden) -> Output:
        """Classify clips."""
        embedding = self.Nested_Res2Net_TDNN(self.layer_sum(hidden.states).transpose(1, 2))
        return Output(embedding, self.logits(embedding))
