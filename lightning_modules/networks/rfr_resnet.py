"""RFRResNet: receptive-field regularised ResNet that tells normal from abnormal machine sounds.

Sources: Koutini et al., "The receptive field as a regularizer in deep convolutional neural networks for
acoustic scene classification" (EUSIPCO 2019) for the network; Primus et al., "Anomalous sound detection as a
simple binary classification problem with careful selection of proxy outlier examples" (DCASE 2020) for its use.
Shape letters: b clip, c channel, f mel band, t frame.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from lightning_modules.networks.convolution import Convolution
from lightning_modules.networks.output import Output
from lightning_modules.networks.shared_windows import Layers

# Sizes of both kernels of the first stage's blocks; all kernels of the other stages are 1x1.
_KERNELS = {
    "very_small": ((3, 1), (3, 1), (3, 1), (1, 1)),
    "a_bit_smaller": ((3, 1), (3, 3), (3, 1), (3, 1)),
    "normal": ((3, 1), (3, 3), (3, 3), (3, 1)),
    "a_bit_larger": ((3, 1), (3, 3), (3, 3), (3, 3)),
}
_POOLED = (True, True, False, True)  # blocks of the first stage that end in a 2x2 max pooling


def _conv(in_channels: int, out_channels: int, kernel_size: int) -> nn.Conv2d:
    # The published padding, a third of the kernel.
    conv = Convolution(in_channels, out_channels, kernel_size, padding=kernel_size // 3, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


class ResidualBlock(nn.Module):
    """Two convolutions beside a skip: (b, c, f, t) -> (b, c', f, t).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_sizes: Of the two convolutions.
    """

    norms: ClassVar[dict[str, str]] = {"conv1": "bn1", "conv2": "bn2"}  # see `inference.simplified`

    def __init__(self, in_channels: int, out_channels: int, kernel_sizes: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        self.conv1 = _conv(in_channels, out_channels, kernel_sizes[0])
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = _conv(out_channels, out_channels, kernel_sizes[1])
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Sequential()
        if in_channels != out_channels:
            self.shortcut.extend([_conv(in_channels, out_channels, 1), nn.BatchNorm2d(out_channels)])

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out, inplace=True)


def _first_stage(channels: int, kernels: Sequence[tuple[int, int]]) -> Iterator[nn.Module]:
    for kernel_sizes, pooled in zip(kernels, _POOLED, strict=False):
        yield ResidualBlock(channels, channels, kernel_sizes)
        if pooled:
            yield nn.MaxPool2d(2)


def _widening_stage(in_channels: int, num_blocks: int) -> Iterator[nn.Module]:
    yield ResidualBlock(in_channels, 2 * in_channels)
    for _ in range(num_blocks - 1):
        yield ResidualBlock(2 * in_channels, 2 * in_channels)


def _average(maps: Tensor) -> Tensor:
    """Global average (b, c) of maps (b, c, f, t) in at least float32: half precision would tie scores."""
    return maps.mean(dim=(2, 3), dtype=torch.promote_types(maps.dtype, torch.float32))


class RFRResNet(nn.Module):
    """ResNet whose small kernels keep the receptive field below the size of the spectrogram.

    The one logit of the binary task is the log odds of an outlier; at initialization it is 0 for any input.

    Args:
        blocks: Of the three stages, 1 to 4 in the first. The published code has 4, 1, 2 blocks (530,626
            parameters); the paper's text says 4, 4, 4 (894,658).
        channels: Of the first stage; the second has twice, the third four times as many.
        receptive_field: The published sizes, with three pooled stages 47, 71, 87 and 103 bins and frames.
        in_channels: Of the spectrogram.
        num_classes: Number of logits; 0 leaves the embedding alone, for objectives that classify it themselves.
    """

    norms: ClassVar[dict[str, str]] = {"input_conv": "input_bn"}

    def __init__(
        self,
        *,
        blocks: Sequence[int] = (4, 1, 2),
        channels: int = 64,
        receptive_field: Literal["very_small", "a_bit_smaller", "normal", "a_bit_larger"] = "normal",
        in_channels: int = 1,
        num_classes: int = 1,
    ) -> None:
        super().__init__()
        if len(blocks) != 3 or min(blocks) < 1 or blocks[0] > len(_POOLED):
            raise ValueError(f"blocks={tuple(blocks)}: expected three counts from 1, the first up to 4")
        if receptive_field not in _KERNELS:
            raise ValueError(f"receptive_field={receptive_field!r} must be one of {', '.join(_KERNELS)}")
        kernels = _KERNELS[receptive_field][: blocks[0]]
        self.min_size = 2 ** (1 + sum(_POOLED[: blocks[0]])) + 1
        self.in_channels = in_channels
        self.embedding_dim = 4 * channels
        self.input_conv = Convolution(in_channels, channels, 5, stride=2, padding=1, bias=False)
        self.input_bn = nn.BatchNorm2d(channels)
        self.stage1 = nn.Sequential(*_first_stage(channels, kernels))
        self.stage2 = nn.Sequential(*_widening_stage(channels, blocks[1]))
        self.stage3 = nn.Sequential(*_widening_stage(2 * channels, blocks[2]))
        self.num_classes = num_classes
        if num_classes:
            self.classifier = _conv(self.embedding_dim, num_classes, 1)
            self.classifier_bn = nn.BatchNorm2d(num_classes)
        self._initialize(sum(blocks))
        convert_conv2d_weight_memory_format(self, torch.channels_last)

    @torch.no_grad()
    def _initialize(self, num_blocks: int) -> None:
        """Start every block as its shortcut and the classifier as 0 (Zhang et al., "Fixup", ICLR 2019)."""
        nn.init.kaiming_normal_(self.input_conv.weight, nonlinearity="relu")
        if self.num_classes:
            nn.init.zeros_(self.classifier.weight)
        for block in self.modules():
            if isinstance(block, ResidualBlock):
                block.conv1.weight *= num_blocks**-0.5
                nn.init.zeros_(block.conv2.weight)

    def forward(self, spectrogram: Tensor) -> Output:
        """Classify spectrograms of any size from `min_size` bins and frames.

        Args:
            spectrogram: (b, c, f, t), or (b, f, t) of one channel.

        Returns:
            Embedding (b, 4 channels), the globally averaged last feature map, and logits (b, classes), both of
            at least float32.

        Raises:
            ValueError: For a spectrogram of another shape.
        """
        if spectrogram.ndim == 3:
            spectrogram = spectrogram.unsqueeze(1)
        num_channels, *size = spectrogram.shape[1:]
        if len(size) != 2 or num_channels != self.in_channels or min(size) < self.min_size:
            expected = f"(batch, {self.in_channels}, mel, frame) with at least {self.min_size} of each"
            raise ValueError(f"spectrogram {tuple(spectrogram.shape)}: this RFRResNet expects {expected}")
        return self.of_maps(self._first_maps(spectrogram))

    @property
    def first_layers(self) -> Layers:
        """What windows of a spectrogram that overlap have in common; `of_maps` goes on. Half of all operations."""
        return Layers(
            lambda spectrogram: self._first_maps(spectrogram.unsqueeze(1)), self.of_maps, stride=4, margin=12
        )

    def _first_maps(self, spectrogram: Tensor) -> Tensor:
        """Up to the first pooling."""
        maps = F.relu(self.input_bn(self.input_conv(spectrogram)), inplace=True)
        return self.stage1[:2](maps)

    def of_maps(self, maps: Tensor) -> Output:
        """What comes after `first_layers`."""
        maps = self.stage3(self.stage2(self.stage1[2:](maps)))
        embedding = _average(maps)
        if not self.num_classes:
            return Output(embedding, embedding[:, :0])
        # The published head classifies and normalizes every cell before it averages them.
        return Output(embedding, _average(self.classifier_bn(self.classifier(maps))))
