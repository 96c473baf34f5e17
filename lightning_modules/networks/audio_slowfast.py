"""AudioSlowFast: two convolutional pathways, a wide one on few frames and a narrow one on all of them.

Source: Kazakos, Nagrani, Zisserman and Damen, "Slow-Fast Auditory Streams for Audio Recognition" (ICASSP 2021).
Names of layers are those of the published checkpoints.
Shape letters: b clip, c channel, t frame, f mel band; kernels and strides are (frame, mel).
"""

import math
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from lightning_modules.networks.output import Output
from lightning_modules.networks.weights import keep_own_head, load_strictly, read_weights

_FRAMES_RATIO = 4  # alpha, frames of the fast pathway to one of the slow
_CHANNELS_RATIO = 8  # 1 / beta, channels of the slow pathway to one of the fast
_STEM_CHANNELS = (64, 64 // _CHANNELS_RATIO)
_NUM_BLOCKS = (3, 4, 6, 3)
_BATCH_NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)
_FRAME_KERNELS = ((1, 3), (1, 3), (3, 3), (3, 3))  # of the blocks of each stage, slow and fast


def _conv(in_channels: int, out_channels: int, kernel: tuple[int, int], stride: tuple[int, int]) -> nn.Conv2d:
    padding = (kernel[0] // 2, kernel[1] // 2)
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def _stem(channels: int, frame_kernel: int) -> nn.Sequential:
    """(b, 1, t, f) -> (b, channels, t / 4, f / 4)."""
    return nn.Sequential(
        OrderedDict(
            conv=_conv(1, channels, (frame_kernel, 7), (2, 2)),
            bn=nn.BatchNorm2d(channels),
            relu=nn.ReLU(inplace=True),
            pool_layer=nn.MaxPool2d(3, stride=2, padding=1),
        )
    )


class Bottleneck(nn.Module):
    """Convolutions along time, along frequency and pointwise beside a skip: (b, c, t, f) -> (b, 4 d, t, f / stride).

    Args:
        in_channels: c.
        inner_channels: d.
        frame_kernel: Size of the convolution along time.
        stride: In mel bands.
    """

    def __init__(self, in_channels: int, inner_channels: int, frame_kernel: int, stride: int) -> None:
        super().__init__()
        out_channels = 4 * inner_channels
        if in_channels != out_channels or stride != 1:
            self.branch1 = _conv(in_channels, out_channels, (1, 1), (1, stride))
            self.branch1_bn = nn.BatchNorm2d(out_channels)
        else:
            self.branch1 = self.branch1_bn = nn.Identity()
        self.branch2 = nn.Sequential(
            OrderedDict(
                a=_conv(in_channels, inner_channels, (frame_kernel, 1), (1, 1)),
                a_bn=nn.BatchNorm2d(inner_channels),
                a_relu=nn.ReLU(inplace=True),
                b=_conv(inner_channels, inner_channels, (1, 3), (1, stride)),
                b_bn=nn.BatchNorm2d(inner_channels),
                b_relu=nn.ReLU(inplace=True),
                c=_conv(inner_channels, out_channels, (1, 1), (1, 1)),
                c_bn=nn.BatchNorm2d(out_channels),
            )
        )
        nn.init.zeros_(self.branch2.get_parameter("c_bn.weight"))  # blocks start as their skip

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        return F.relu(self.branch1_bn(self.branch1(x)) + self.branch2(x), inplace=True)


class Fusion(nn.Module):
    """Puts a convolution of the fast maps, at the slow frame rate, beside the slow maps."""

    def __init__(self, fast_channels: int) -> None:
        super().__init__()
        self.conv_f2s = _conv(fast_channels, 2 * fast_channels, (7, 1), (_FRAMES_RATIO, 1))
        self.bn = nn.BatchNorm2d(2 * fast_channels)

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        """(b, c, t, f) and (b, d, 4 t, f) -> (b, c + 2 d, t, f)."""
        return torch.cat([slow, F.relu(self.bn(self.conv_f2s(fast)), inplace=True)], dim=1)


class Pathways(nn.ModuleDict):
    """Layers of the slow pathway, by names from "pathway0", beside those of the fast, from "pathway1"."""

    def forward(self, slow: Tensor, fast: Tensor) -> tuple[Tensor, Tensor]:
        """Apply each layer to the maps of its pathway."""
        for name, layer in self.items():
            if name.startswith("pathway0"):
                slow = layer(slow)
            else:
                fast = layer(fast)
        return slow, fast


def _stage(index: int) -> Pathways:
    """Residual stage 0 to 3."""
    blocks = Pathways()
    for pathway, stem_channels in enumerate(_STEM_CHANNELS):
        inner_channels = stem_channels * 2**index
        in_channels = stem_channels if index == 0 else 2 * inner_channels
        if pathway == 0:
            in_channels += 2 * in_channels // _CHANNELS_RATIO  # what the fusion puts there
        stride = 1 if index == 0 else 2
        for number in range(_NUM_BLOCKS[index]):
            block = Bottleneck(in_channels, inner_channels, _FRAME_KERNELS[index][pathway], stride)
            blocks[f"pathway{pathway}_res{number}"] = block
            in_channels, stride = 4 * inner_channels, 1
    return blocks


def _spread(num: int, wanted: int, device: torch.device) -> Tensor:
    """Indices of `wanted` out of `num` places from the first to the last, exact on any device: int64 (wanted,)."""
    return torch.arange(wanted, device=device) * (num - 1) // max(wanted - 1, 1)


def _projection(dim: int, num_classes: int) -> nn.Linear:
    projection = nn.Linear(dim, num_classes)
    nn.init.normal_(projection.weight, std=0.01)
    nn.init.zeros_(projection.bias)
    return projection


class AudioSlowFast(nn.Module):
    """Slow and fast ResNet-50 that tell events apart.

    Where a clip is longer than `input_size`, it is classified window by window, and the logits are the logarithm of
    the mean probability over the windows: their softmax (of each head) is the published output in evaluation.

    Args:
        num_classes: Number of logits.
        input_size: Mel bands and frames of a window: (128, 512) for VGGSound, (128, 400) for EPIC-KITCHENS.
        heads: Name and number of classes of each of several heads, whose logits lie side by side; together
            `num_classes`. Published on EPIC-KITCHENS: {"verb": 97, "noun": 300}.
        freeze_batch_norm: Keep the statistics of all batch norms but those of the stems and the first fusion, as the
            published fine-tuning on EPIC-KITCHENS does.

    Raises:
        ValueError: For heads of another number of classes than `num_classes`.
    """

    embedding_dim = 4 * 8 * sum(_STEM_CHANNELS)

    def __init__(
        self,
        num_classes: int = 309,
        *,
        input_size: tuple[int, int] = (128, 512),
        heads: Mapping[str, int] | None = None,
        freeze_batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if heads and sum(heads.values()) != num_classes:
            raise ValueError(f"heads={dict(heads)}: expected num_classes={num_classes} classes together")
        self.num_mel_bins, self.num_frames = input_size
        self.freeze_batch_norm = freeze_batch_norm
        slow, fast = _STEM_CHANNELS
        self.s1 = Pathways({"pathway0_stem": _stem(slow, 1), "pathway1_stem": _stem(fast, 5)})
        self.s1_fuse = Fusion(fast)
        self.s2, self.s3, self.s4, self.s5 = (_stage(index) for index in range(4))
        self.s2_fuse, self.s3_fuse, self.s4_fuse = (Fusion(4 * fast * 2**index) for index in range(3))
        self.dropout = nn.Dropout(0.5)
        several = {f"projection_{name}": size for name, size in (heads or {}).items()}
        sizes = several or {"projection": num_classes}
        self.num_classes = num_classes
        self.head = nn.ModuleDict(
            {name: _projection(self.embedding_dim, size) for name, size in sizes.items()}
        )
        convert_conv2d_weight_memory_format(self, torch.channels_last)
        self.train()

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the head by an untrained one of other classes.

        Raises:
            ValueError: For a network of several heads.
        """
        if len(self.head) > 1:
            raise ValueError(f"several heads of {self.num_classes} classes: set num_classes and heads")
        (head,) = self.head.values()
        self.num_classes = num_classes
        self.head["projection"] = _projection(self.embedding_dim, num_classes).to(
            head.get_parameter("weight")
        )

    def load_official(self, path: str | Path) -> Self:
        """Load a checkpoint of the published code; a head for other classes is left out.

        Raises:
            ValueError: When the file holds another model.
        """
        state = read_weights(path)
        load_strictly(self, keep_own_head(self, state, "head.", path), path)
        return self

    def train(self, mode: bool = True) -> Self:
        """As every module, less the statistics that `freeze_batch_norm` keeps."""
        super().train(mode)
        if self.freeze_batch_norm:
            norms = {name: layer for name, layer in self.named_modules() if isinstance(layer, _BATCH_NORMS)}
            for name, layer in norms.items():
                layer.train(mode and name.startswith(("s1.", "s1_fuse.")))
        return self

    def forward(self, features: Tensor) -> Output:
        """Classify clips.

        Args:
            features: (batch, mel, frame), of at least 4 frames.

        Returns:
            Embedding (batch, 2304), the mean of the last maps of both pathways, and logits (batch, num_classes),
            both of the type of the weights.

        Raises:
            ValueError: For another number of mel bands or fewer frames.
        """
        _, mel, num_frames = features.shape
        if mel != self.num_mel_bins or num_frames < _FRAMES_RATIO:
            expected = f"(batch, {self.num_mel_bins}, at least {_FRAMES_RATIO})"
            raise ValueError(f"features {tuple(features.shape)}: this AudioSlowFast expects {expected}")
        slow, fast = self._maps(rearrange(features, "b f t -> b 1 t f"))
        with torch.autocast(features.device.type, enabled=False):  # half precision would tie scores
            windows = self._pool(slow, fast)
            logits = [self._classify(windows, projection) for projection in self.head.values()]
            return Output(windows.mean(dim=(1, 2)), torch.cat(logits, dim=1))

    def _maps(self, fast: Tensor) -> tuple[Tensor, Tensor]:
        """Last maps of the slow pathway, (b, 2048, t / 16, f / 32), and the fast, (b, 256, t / 4, f / 32)."""
        num_frames = fast.shape[2]
        if num_frames % 16 < _FRAMES_RATIO:
            # With 1 to 3 frames more than a multiple of 16 the maps would not meet; the published code stops there.
            num_frames -= num_frames % 16
            fast = fast[:, :, :num_frames]
        slow = fast[:, :, _spread(num_frames, num_frames // _FRAMES_RATIO, fast.device)]
        slow, fast = self.s1(slow, fast)
        slow, fast = self.s2(self.s1_fuse(slow, fast), fast)
        slow, fast = self.s3(self.s2_fuse(slow, fast), fast)
        slow, fast = self.s4(self.s3_fuse(slow, fast), fast)
        return self.s5(self.s4_fuse(slow, fast), fast)

    def _pool(self, slow: Tensor, fast: Tensor) -> Tensor:
        """Means of both pathways in every window, (b, t', f', 2304)."""
        dtype = self.s1_fuse.conv_f2s.weight.dtype
        slow, fast = (
            F.avg_pool2d(
                maps.to(dtype),
                (
                    min(self.num_frames // shrinkage, maps.shape[2]),
                    min(self.num_mel_bins // 32, maps.shape[3]),
                ),
                stride=1,
            )
            for maps, shrinkage in ((slow, 4 * _FRAMES_RATIO), (fast, 4))
        )
        fast = fast[:, :, _spread(fast.shape[2], slow.shape[2], fast.device)]  # the window of the same frames
        return rearrange(torch.cat([slow, fast], dim=1), "b c t f -> b t f c")

    def _classify(self, windows: Tensor, projection: nn.Module) -> Tensor:
        """Logits (b, class) of one head."""
        logits = projection(self.dropout(windows)).flatten(1, 2)
        num_windows = logits.shape[1]
        if num_windows == 1:
            return logits[:, 0]
        return logits.log_softmax(dim=2).logsumexp(dim=1) - math.log(num_windows)
