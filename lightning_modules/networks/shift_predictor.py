"""A network that finds where a hit begins in a window, and the shift by parts of a sample that moves it to the middle.

It predicts a place and makes no sound of its own: whatever it answers, the hit sounds the same, earlier or later.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ShiftPredictor(nn.Module):
    """Predicts one shift a window and applies it.

    Convolutions score every millisecond around the middle; the mean of their softmax is where the hit begins.

    Args:
        sample_rate: In Hz, a multiple of 4000.
        window_s: Length of a window, in seconds.
        max_shift_s: How far from the middle a hit may begin, in seconds.
        num_channels: Of the convolutions.
        dilations: Of the residual convolutions, in milliseconds.

    Attributes:
        receptive_field: Samples of a window: all of them tell the shift.

    Raises:
        ValueError: If a millisecond is no multiple of 4 samples, or the shifts do not fit the window.
    """

    def __init__(
        self,
        *,
        sample_rate: int = 8000,
        window_s: float = 0.512,
        max_shift_s: float = 0.08,
        num_channels: int = 64,
        dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32),
    ) -> None:
        super().__init__()
        hop = sample_rate // 1000
        if sample_rate % 4000 or max_shift_s > window_s / 2:
            raise ValueError(
                f"sample_rate {sample_rate} Hz with shifts of {max_shift_s} s in windows of {window_s} s: give a"
                " multiple of 4000 Hz and shifts up to half a window"
            )
        self.sample_rate, self.hop = sample_rate, hop
        self.window = round(window_s * 1000) * hop
        self.max_shift = round(max_shift_s * 1000) * hop
        self.receptive_field = self.window
        self.analysis = nn.Sequential(
            nn.Conv1d(1, num_channels // 2, 17, stride=4, padding=8),
            nn.ReLU(),
            nn.Conv1d(num_channels // 2, num_channels, 9, stride=hop // 4, padding=4),
            nn.ReLU(),
        )
        self.context = nn.ModuleList(
            nn.Conv1d(num_channels, num_channels, 5, padding=2 * dilation, dilation=dilation)
            for dilation in dilations
        )
        self.score = nn.Conv1d(num_channels, 1, 1)

    def onset(self, waveform: Tensor) -> Tensor:
        """Where the hit of each window (batch, 1, window) begins, in samples after the middle: (batch,)."""
        peak = waveform.abs().amax(dim=2, keepdim=True)
        x = self.analysis(waveform / peak.clamp_min(1e-6))  # (batch, channel, millisecond)
        for layer in self.context:
            x = x + F.relu(layer(x))
        scores = self.score(x).float().squeeze(1)
        place = (torch.arange(scores.shape[1], device=x.device) - scores.shape[1] // 2) * self.hop
        scores = scores.masked_fill(place.abs() > self.max_shift, -math.inf)
        return (scores.softmax(dim=1) * place).sum(dim=1)

    def forward(self, waveform: Tensor, knobs: Tensor | None = None) -> Tensor:
        """Moves the hit of each window (batch, 1, window) to its middle; `knobs` are not used."""
        return shift(waveform, -self.onset(waveform))


def shift(waveform: Tensor, by: Tensor) -> Tensor:
    """Delays (batch, channel, time) by samples and parts of them, differentiable in both; what leaves is lost.

    A factor on the spectrum, exact for what lies below half the sample rate; the room of `time` samples behind takes
    what would come round.

    Args:
        waveform: Any float.
        by: (batch,) samples, less than `time`; negative is earlier.
    """
    num_samples = waveform.shape[-1]
    with torch.autocast(waveform.device.type, enabled=False):
        exact = waveform if waveform.dtype == torch.float64 else waveform.float()
        spectrum = torch.fft.rfft(exact, 2 * num_samples)
        turn = torch.arange(num_samples + 1, device=by.device, dtype=exact.dtype) * (-math.pi / num_samples)
        phase = by.to(exact.dtype)[:, None, None] * turn
        moved = torch.fft.irfft(spectrum * torch.polar(torch.ones_like(phase), phase), 2 * num_samples)
    return moved[..., :num_samples]
