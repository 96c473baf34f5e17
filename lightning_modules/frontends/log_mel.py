"""Logarithmic mel spectrogram."""

from typing import Literal

import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks, spectrogram

from lightning_modules.frontends.deltas import append_deltas
from lightning_modules.frontends.length import check_length


class LogMel(nn.Module):
    """Natural logarithm of the power or magnitude in mel bands, in frames centred on multiples of the hop.

    Args:
        sample_rate: In Hz.
        n_fft: Length of the Fourier transform in samples.
        win_length: Length of the Hann window in samples, at most `n_fft`.
        hop_length: Samples from frame to frame.
        n_mels: Number of HTK mel bands.
        f_min: Lower edge of the lowest band in Hz.
        f_max: Upper edge of the highest band in Hz; None is half the sample rate.
        num_deltas: 2 appends the first and second differences along time to every frame.
        power: Of the magnitude: 2 sums up power in the bands, 1 magnitude.
        pad_mode: What is before and after the clip, its mirror image (reflect) or silence (constant).
        offset: Added to the bands before the logarithm.
    """

    window: Tensor
    filters: Tensor

    def __init__(
        self,
        sample_rate: int = 16000,
        *,
        n_fft: int = 512,
        win_length: int = 512,
        hop_length: int = 128,
        n_mels: int = 80,
        f_min: float = 0.0,
        f_max: float | None = None,
        num_deltas: int = 0,
        power: float = 2.0,
        pad_mode: Literal["reflect", "constant"] = "reflect",
        offset: float = torch.finfo(torch.float32).eps,
    ) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.win_length = win_length
        self.hop_length = hop_length
        self.num_deltas = num_deltas
        self.power = power
        self.pad_mode = pad_mode
        self.offset = offset
        filters = melscale_fbanks(n_fft // 2 + 1, f_min, f_max or sample_rate / 2, n_mels, sample_rate)
        self.register_buffer("window", torch.hann_window(win_length), persistent=False)
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)  # (mel, bin)

    def forward(self, waveform: Tensor) -> Tensor:
        """Analyse clips.

        Args:
            waveform: (..., time) in [-1, 1].

        Returns:
            float32 (..., n_mels * (1 + num_deltas), 1 + time // hop_length), at least log(offset).

        Raises:
            ValueError: For clips shorter than one window.
        """
        mirrored = self.n_fft // 2 + 1 if self.pad_mode == "reflect" else 0
        check_length(waveform, max(self.win_length, mirrored))
        with torch.autocast(waveform.device.type, enabled=False):
            spectrum = spectrogram(
                waveform.to(self.window.dtype),
                pad=0,
                window=self.window,
                n_fft=self.n_fft,
                hop_length=self.hop_length,
                win_length=self.win_length,
                power=self.power,
                normalized=False,
                pad_mode=self.pad_mode,
            )  # (..., bin, frame)
            log_mel = (self.filters @ spectrum).add_(self.offset).log_()
            return append_deltas(log_mel, self.num_deltas)
