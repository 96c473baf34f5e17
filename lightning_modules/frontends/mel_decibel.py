"""Mel spectrogram in decibels, as librosa computes it and anomalous sound detection uses it."""

from typing import Literal

import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks, spectrogram

from lightning_modules.frontends.length import check_length

_MIN_POWER = 1e-10
_MIN_STD = 1e-8  # a digitally silent clip stays silent


class MelDecibel(nn.Module):
    """Power in Slaney mel bands of equal area, in decibels, in frames centred on multiples of the hop.

    The recipe of Primus et al. 2020, section 4.2: clips of unit variance, nothing below the loudest band and frame
    of a clip minus `top_db`.

    Args:
        sample_rate: In Hz.
        n_fft: Length of the Fourier transform and of the Hann window in samples.
        hop_length: Samples from frame to frame.
        n_mels: Number of Slaney mel bands.
        f_min: Lower edge of the lowest band in Hz.
        f_max: Upper edge of the highest band in Hz; None is half the sample rate.
        unit_variance: Divide every clip by the standard deviation of its samples first; the mean stays.
        top_db: Dynamic range of a clip in decibels; None keeps all of it.
        mel_scale: ``slaney`` has bands of equal area, ``htk`` bands of another scale and of equal height.
    """

    window: Tensor
    filters: Tensor

    def __init__(
        self,
        sample_rate: int = 16000,
        *,
        n_fft: int = 1024,
        hop_length: int = 512,
        n_mels: int = 128,
        f_min: float = 0.0,
        f_max: float | None = None,
        unit_variance: bool = True,
        top_db: float | None = 80.0,
        mel_scale: Literal["slaney", "htk"] = "slaney",
    ) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.unit_variance = unit_variance
        self.top_db = top_db
        filters = melscale_fbanks(
            n_fft // 2 + 1,
            f_min,
            f_max or sample_rate / 2,
            n_mels,
            sample_rate,
            norm="slaney" if mel_scale == "slaney" else None,
            mel_scale=mel_scale,
        )
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)  # (mel, bin)

    def forward(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Analyse clips.

        Args:
            waveform: (batch, ..., time); clips shorter than the longest are continued by their mirror image
                (``padding: mirror``), so that their own frames are those of the clip alone.
            length: int64 (batch,), samples of each clip; None where all are whole.

        Returns:
            float32 (batch, ..., n_mels, 1 + time // hop_length); `num_frames` tells which are a clip's own.

        Raises:
            ValueError: For clips shorter than half a window.
        """
        check_length(waveform, self.n_fft // 2 + 1)
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = waveform.to(self.window.dtype)
            if self.unit_variance:
                waveform = waveform / _std(waveform, length).clamp_min(_MIN_STD)
            power = spectrogram(
                waveform,
                pad=0,
                window=self.window,
                n_fft=self.n_fft,
                hop_length=self.hop_length,
                win_length=self.n_fft,
                power=2.0,
                normalized=False,
            )  # (batch, ..., bin, frame)
            decibel = (self.filters @ power).clamp_min_(_MIN_POWER).log10_().mul_(10)
            return decibel if self.top_db is None else self._above_floor(decibel, length)

    def num_frames(self, length: Tensor) -> Tensor:
        """Frames of clips of `length` samples."""
        return 1 + length // self.hop_length

    def _above_floor(self, decibel: Tensor, length: Tensor | None) -> Tensor:
        assert self.top_db is not None
        own = decibel
        if length is not None:
            own = decibel.masked_fill(~_mask(decibel, self.num_frames(length)), -torch.inf)
        loudest = own.amax(dim=(-2, -1), keepdim=True)
        return decibel.maximum(loudest - self.top_db)


def _std(waveform: Tensor, length: Tensor | None) -> Tensor:
    """Standard deviation (biased) of the samples of each clip itself, (batch, ..., 1)."""
    if length is None:
        return waveform.std(dim=-1, correction=0, keepdim=True)
    mask = _mask(waveform, length)
    count = length.view(-1, *[1] * (waveform.dim() - 1))
    mean = (waveform * mask).sum(-1, keepdim=True) / count
    return (((waveform - mean) * mask).square().sum(-1, keepdim=True) / count).sqrt()


def _mask(values: Tensor, count: Tensor) -> Tensor:
    """True for the first `count` (batch,) places of the last dimension."""
    places = torch.arange(values.shape[-1], device=values.device)
    return places < count.view(-1, *[1] * (values.dim() - 1))
