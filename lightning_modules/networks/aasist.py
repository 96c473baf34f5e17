"""AASIST and AASIST-L: from the waveform to bona fide or spoofed speech.

Source: Jung et al., "AASIST: Audio anti-spoofing using integrated spectro-temporal graph attention networks"
(ICASSP 2022). Modules bear the published names, so that official checkpoints load.
Shape letters: b clip, c channel, f frequency node, t time.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from lightning_modules.networks.convolution import Convolution
from lightning_modules.networks.elu import selu_
from lightning_modules.networks.output import Output
from lightning_modules.networks.pooling import max_pool
from lightning_modules.networks.sinc import former_sinc_filters, sinc_filters
from lightning_modules.networks.spectro_temporal_graphs import SpectroTemporalGraphs
from lightning_modules.networks.weights import is_of_this_project, load_strictly, named_tensors, read_file


class ResidualBlock(nn.Module):
    """Two 2x3 convolutions beside a skip, then a third of the time steps.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        pooling: Of how many time steps one, the largest, is kept.
    """

    norms: ClassVar[dict[str, str]] = {"conv1": "bn2"}  # see `inference.simplified`

    def __init__(self, in_channels: int, out_channels: int, *, pooling: int = 3) -> None:
        super().__init__()
        self.pooling = pooling
        if in_channels > 1:
            # The published code computes this and throws it away. Its keys stay for the checkpoints; without
            # gradients, distributed training does not wait for them.
            self.bn1 = nn.BatchNorm2d(in_channels).requires_grad_(False)
        self.conv1 = Convolution(in_channels, out_channels, (2, 3), padding=(1, 1))
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = Convolution(out_channels, out_channels, (2, 3), padding=(0, 1))
        self.conv_downsample = None
        if in_channels != out_channels:
            self.conv_downsample = Convolution(in_channels, out_channels, (1, 3), padding=(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (b, c, f, t) to (b, c', f, t // pooling)."""
        out = self.conv2(selu_(self.bn2(self.conv1(x))))
        out += x if self.conv_downsample is None else self.conv_downsample(x)
        return max_pool(out, (1, self.pooling)) if self.pooling > 1 else out


def residual_blocks(channels: Sequence[int], *, pooling: int = 3) -> nn.Sequential:
    """Blocks one after the other, from maps of one channel; under the published names."""
    pairs = zip((1, *channels), channels, strict=False)
    blocks = nn.Sequential(*(nn.Sequential(ResidualBlock(*pair, pooling=pooling)) for pair in pairs))
    # With channels last, the convolutions of a training step take about 2/3 of the time on a CPU, the pooling 1/5.
    convert_conv2d_weight_memory_format(blocks, torch.channels_last)
    return blocks


class AASIST(SpectroTemporalGraphs):
    """Spectro-temporal graph attention network on raw speech.

    Logit 1 is bona fide, logit 0 is spoof; the published score of a clip is ``logits[:, 1]``.

    Args:
        channels: Output channels of the six residual blocks.
        graph_dims: Features of a node in the two homogeneous graphs, and in the heterogeneous ones.
        pool_ratios: Share of nodes kept after the spectral, the temporal and the heterogeneous graphs.
        temperatures: Softmax temperatures of the spectral, temporal and heterogeneous attention.
        num_filters: Filters of the fixed sinc convolution.
        filter_length: Their taps, odd.
        sample_rate: In Hz.
    """

    sinc: Tensor

    def __init__(
        self,
        *,
        channels: tuple[int, int, int, int, int, int] = (32, 32, 64, 64, 64, 64),
        graph_dims: tuple[int, int] = (64, 32),
        pool_ratios: tuple[float, float, float] = (0.5, 0.7, 0.5),
        temperatures: tuple[float, float, float] = (2.0, 2.0, 100.0),
        num_filters: int = 70,
        filter_length: int = 129,
        sample_rate: int = 16000,
    ) -> None:
        super().__init__()
        num_bands = num_filters // 3
        self._bank = {"num_filters": num_filters, "length": filter_length, "sample_rate": sample_rate}
        # Pooling by three never looks at what is left over of the filters (the 70th).
        self.register_buffer("sinc", sinc_filters(**self._bank)[: 3 * num_bands, None])
        self.first_bn = nn.BatchNorm2d(1)
        self.encoder = residual_blocks(channels)
        self.build_graphs(
            num_bands, channels[-1], dims=graph_dims, pool_ratios=pool_ratios, temperatures=temperatures
        )
        self.out_layer = nn.Linear(self.embedding_dim, 2)

    @classmethod
    def light(cls) -> "AASIST":
        """AASIST-L: 85,306 parameters instead of 297,866."""
        return cls(channels=(32, 32, 24, 24, 24, 24), graph_dims=(24, 32), pool_ratios=(0.4, 0.5, 0.7))

    def load_official(self, path: str | Path) -> Self:
        """Load a checkpoint of the published code, every key of it, and hear through its filters.

        Raises:
            ValueError: When the file holds another model.
        """
        content = read_file(path)
        state = named_tensors(content, path)
        if not is_of_this_project(content):
            state = {"sinc": sinc_filters(**self._bank)[: len(self.sinc), None]} | state
        load_strictly(self, state, path)
        return self

    def former_state(self) -> dict[str, Tensor]:
        """The filters of files that do not hold any; see `weights.completed`."""
        return {"sinc": former_sinc_filters(**self._bank)[: len(self.sinc), None]}

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        for name, tensor in self.former_state().items():
            state_dict.setdefault(prefix + name, tensor)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, waveform: Tensor) -> Output:
        """Classify clips.

        Args:
            waveform: (b, t) or (b, 1, t), in [-1, 1].

        Returns:
            Embedding (b, 160) before dropout, and logits (b, 2): spoof, bona fide.

        Raises:
            ValueError: For clips of several channels, or too short to leave one time step.
        """
        encoded = self.encoder(self._bands(waveform)).abs()  # (b, c, f, t)
        spectral = encoded.amax(dim=3).transpose(1, 2)
        temporal = encoded.amax(dim=2).transpose(1, 2)
        embedding = self.join(spectral, temporal)
        return Output(embedding, self.out_layer(self.drop(embedding)))

    @property
    def min_samples(self) -> int:
        """The shortest clip, which leaves one time step."""
        return self.sinc.shape[-1] - 1 + 3 ** (1 + len(self.encoder))

    def _bands(self, waveform: Tensor) -> Tensor:
        """Normalised magnitudes of the sinc bands: (b, t) -> (b, 1, f, t')."""
        if waveform.ndim == 2:
            waveform = waveform.unsqueeze(1)
        shortest = self.min_samples
        if waveform.shape[1] != 1 or waveform.shape[2] < shortest:
            way_out = (
                "data.train_crop_s and data.eval_crop_s to more"
                if waveform.shape[1] == 1
                else "data.mono: true"
            )
            raise ValueError(
                f"waveform {tuple(waveform.shape)}: AASIST expects (batch, 1, time) with time at least {shortest}: set"
                f" {way_out}"
            )
        with torch.autocast(waveform.device.type, enabled=False):
            bands = F.conv1d(waveform.to(self.sinc.dtype), self.sinc).abs_()
            return F.selu(self.first_bn(F.max_pool2d(bands.unsqueeze(1), 3)))
