"""Clips as statistics of mel bands: how loud each band is on average, and how much it changes."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from datamodules.clips import Batch
from lightning_modules.frontends.log_mel import LogMel
from lightning_modules.metrics.row_table import MeanTable

_NUM_BANDS = 40
_WINDOW_S, _HOP_S = 0.032, 0.01


class Described(NamedTuple):
    """Clips of a split.

    Attributes:
        rows: Of the data module.
        statistics: float64 (clip, statistic).
    """

    rows: list[Any]
    statistics: Tensor


class LogMelStatistics(nn.Module):
    """Mean and standard deviation over time of the logarithmic power in 40 mel bands, windows of 32 ms each 10 ms.

    Args:
        sample_rate: In Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.window = 2 ** round(math.log2(_WINDOW_S * sample_rate))
        self.log_mel = LogMel(
            sample_rate,
            n_fft=self.window,
            win_length=self.window,
            hop_length=round(_HOP_S * sample_rate),
            n_mels=_NUM_BANDS,
            pad_mode="constant",
        )

    def forward(self, waveform: Tensor, length: Tensor) -> Tensor:
        """Describe clips by the windows that lie within them; one shorter than a window by that in its middle.

        Args:
            waveform: (batch, channel, time) in [-1, 1], whose channels are averaged.
            length: int64 (batch,), samples of each clip before padding.

        Returns:
            float64 (batch, 80).
        """
        mono = nn.functional.pad(waveform.mean(dim=1), (0, max(0, self.window - waveform.shape[-1])))
        levels = self.log_mel(mono)  # (batch, band, frame), of which frame n is centred on n hops
        centre = torch.arange(levels.shape[-1], device=levels.device) * self.log_mel.hop_length
        half, length = self.window // 2, length[:, None]
        within = (centre >= half) & (centre + half <= length)  # (batch, frame)
        nearest = (2 * centre - length).abs()
        middle = nearest == nearest.amin(dim=1, keepdim=True)
        return moments(levels, torch.where(within.any(dim=1, keepdim=True), within, middle))


def moments(levels: Tensor, counts: Tensor) -> Tensor:
    """Mean and standard deviation over the frames of each clip that count.

    Args:
        levels: (batch, band, frame).
        counts: bool (batch, frame), at least one a clip.

    Returns:
        float64 (batch, 2 band).
    """
    weight = (counts.double() / counts.sum(dim=1, keepdim=True))[:, None]  # (batch, 1, frame)
    mean = (levels * weight).sum(dim=2)
    variance = ((levels - mean[..., None]).square() * weight).sum(dim=2)
    return torch.cat([mean, variance.sqrt()], dim=1)


@torch.no_grad()
def describe(batches: Iterable[Batch], rows: Any, *, sample_rate: int, device: torch.device) -> Described:
    """Describes the clips of a loader; those of a data set of features by these.

    Args:
        batches: Of the data module.
        rows: Its rows of that split.
        sample_rate: In Hz.
        device: Where it is computed.
    """
    statistics, table = LogMelStatistics(sample_rate).to(device), MeanTable()
    for batch in batches:
        length = batch.length.to(device)
        if batch.features is None:
            found = statistics(batch.waveform.to(device), length)
        else:
            levels = batch.features.to(device).mean(dim=1)  # (batch, mel, frame)
            frame = torch.arange(levels.shape[-1], device=device)
            found = moments(levels, frame < length[:, None])
        table.update(found.cpu(), batch.index)
    index, values = table.gathered()
    return Described([rows[row] for row in index.tolist()], values)
