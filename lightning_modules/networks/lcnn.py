"""LCNN: light convolutional network with max feature maps, on spectral features.

Sources: Lavrentyeva et al., "STC antispoofing systems for the ASVspoof2019 challenge" (Interspeech 2019) for
the trunk; Wang and Yamagishi, "A comparative study on recent neural spoofing countermeasures for synthetic
speech detection" (Interspeech 2021) for the two heads.
Shape letters: b clip, c channel, t frame, d feature.
"""

import logging
import re
from pathlib import Path
from typing import Any, Self

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from lightning_modules.networks.convolution import Convolution
from lightning_modules.networks.output import Output
from lightning_modules.networks.weights import load_strictly, read_weights

logger = logging.getLogger(__name__)


class _LargerHalf(torch.autograd.Function):
    """`torch.maximum` of two halves, whose own backward pass takes three times as long on a CPU.

    Of equal values the first gets the gradient, as in the published code; `torch.maximum` halves it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=1)
        ctx.save_for_backward(torch.lt(first, second, out=torch.empty_like(first)))
        return torch.maximum(first, second)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        of_second = grad * ctx.saved_tensors[0]
        return torch.cat([grad - of_second, of_second], dim=1)


class MaxFeatureMap(nn.Module):
    """The larger of the first and the second half of the channels: (b, 2 c, ...) -> (b, c, ...)."""

    is_of_maxima = True  # see `inference.simplified`

    def forward(self, x: Tensor) -> Tensor:
        """Compete half against half."""
        if self.training:
            return _LargerHalf.apply(x)  # pyright: ignore[reportReturnType]
        return torch.maximum(*x.chunk(2, dim=1))


def _trunk() -> nn.Sequential:
    """What both heads stand on: (b, 1, t, d) -> (b, 32, t // 16, d // 16)."""

    def conv(in_channels: int, out_channels: int, size: int) -> list[nn.Module]:
        return [Convolution(in_channels, out_channels, size, padding=size // 2), MaxFeatureMap()]

    def norm(channels: int) -> nn.BatchNorm2d:
        return nn.BatchNorm2d(channels, affine=False)

    return nn.Sequential(
        *conv(1, 64, 5), nn.MaxPool2d(2),
        *conv(32, 64, 1), norm(32), *conv(32, 96, 3), nn.MaxPool2d(2), norm(48),
        *conv(48, 96, 1), norm(48), *conv(48, 128, 3), nn.MaxPool2d(2),
        *conv(64, 128, 1), norm(64), *conv(64, 64, 3), norm(32),
        *conv(32, 64, 1), norm(32), *conv(32, 64, 3), nn.MaxPool2d(2),
        nn.Dropout(0.7),
    )  # fmt: skip


class FlatHead(nn.Module):
    """Embedding (b, 80) of maps of one known size."""

    dim = 80

    def __init__(self, in_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dim, 2 * self.dim)
        self.max_feature_map = MaxFeatureMap()

    def forward(self, maps: Tensor) -> Tensor:
        """Embed (b, 32, t, d)."""
        return self.max_feature_map(self.linear(maps.flatten(1)))


class LSTMSumHead(nn.Module):
    """Embedding (b, dim) of maps of any length: mean over time of the frames plus a two-layer BLSTM of them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.lstm = nn.LSTM(dim, dim // 2, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, maps: Tensor) -> Tensor:
        """Embed (b, 32, t, d)."""
        frames = rearrange(maps, "b c t d -> b t (c d)")
        return (self.lstm(frames)[0] + frames).mean(dim=1)


# Kept in the published checkpoints, read by nothing in the published network.
_UNUSED = ("input_mean", "input_std", "output_mean", "output_std")


def _our_key(key: str) -> str:
    """Name here of a tensor of the published checkpoints."""
    key = key.replace("m_transform.0.", "trunk.").replace("m_output_act.0.", "classifier.")
    return re.sub(r"^m_before_pooling\.0\.(\d)\.l_blstm\.(\w+)_l0", r"head.lstm.\2_l\1", key)


class LCNN(nn.Module):
    """Light convolutional network with one logit, the log odds of bona fide speech.

    The plain constructor ends in a fully connected head and takes clips of one length;
    `LCNN.lstm_sum` ends in bidirectional LSTMs and takes any.

    Args:
        feature_dim: Features of a frame, deltas included.
        num_frames: Frames of every clip; None for the head that takes any number.
    """

    def __init__(self, feature_dim: int = 240, num_frames: int | None = 751) -> None:
        super().__init__()
        if feature_dim < 16 or (num_frames is not None and num_frames < 16):
            raise ValueError(
                f"feature_dim {feature_dim}, num_frames {num_frames}: expected at least 16 of each"
            )
        self.feature_dim = feature_dim
        self.num_frames = num_frames
        self.trunk = _trunk()
        convert_conv2d_weight_memory_format(self.trunk, torch.channels_last)
        map_dim = 32 * (feature_dim // 16)
        self.head = LSTMSumHead(map_dim) if num_frames is None else FlatHead(map_dim * (num_frames // 16))
        self.embedding_dim = self.head.dim
        self.classifier = nn.Linear(self.embedding_dim, 1)

    @classmethod
    def lstm_sum(cls, feature_dim: int = 60) -> "LCNN":
        """The network of the ASVspoof 2021 LFCC-LCNN baseline, for clips of any length."""
        return cls(feature_dim, num_frames=None)

    def load_official(self, path: str | Path) -> Self:
        """Load a checkpoint of the published LFCC-LCNN-LSTM code into `LCNN.lstm_sum()`.

        Raises:
            ValueError: When the file holds another model or this network has the other head.
        """
        published = read_weights(path)
        dropped = [key for key in published if key.startswith("m_frontend.") or key in _UNUSED]
        state = {_our_key(key): value for key, value in published.items() if key not in dropped}
        load_strictly(self, state, path)
        logger.info("LCNN: left in %s, front end and unused: %s", path, ", ".join(dropped))
        return self

    def forward(self, features: Tensor) -> Output:
        """Classify clips.

        Args:
            features: (b, d, t) or (b, 1, d, t).

        Returns:
            Embedding (b, 80), or (b, 32 * (d // 16)) from `lstm_sum`, and logits (b, 1).

        Raises:
            ValueError: For other features or another number of frames than the network was built for.
        """
        if features.ndim == 3:
            features = features.unsqueeze(1)
        _, channels, dim, num_frames = features.shape
        wrong_length = num_frames < 16 if self.num_frames is None else num_frames != self.num_frames
        if channels != 1 or dim != self.feature_dim or wrong_length:
            expected = f"(batch, 1, {self.feature_dim}, {self.num_frames or 'at least 16'})"
            raise ValueError(
                f"features {tuple(features.shape)}: this LCNN expects {expected}; "
                "build it with your feature_dim and num_frames, or use LCNN.lstm_sum for any length"
            )
        embedding = self.head(self.trunk(features.transpose(2, 3)))
        return Output(embedding, self.classifier(embedding))
