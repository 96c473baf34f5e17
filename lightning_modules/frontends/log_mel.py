"""Logarithmic mel spectrogram."""

import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks, spectrogram

from lightning_modules.frontends.deltas import append_deltas
from lightning_modules.frontends.length import check_length


class LogMel(nn.Module):
    """Natural logarithm of the power in mel bands, in frames centred on multiples of the hop.

    Args:
        sample_rate: In Hz.
        n_fft: Length of the Fourier transform in samples.
        win_length: Length of the Hann window in samples, at most `n_fft`.
        hop_length: Samples from frame to frame.
        n_mels: Number of HTK mel bands.
        f_min: Lower edge of the lowest band in Hz.
        f_max: Upper edge of the highest band in Hz; None is half the sample rate.
        num_deltas: 2 appends the first and second differences along time to every frame.
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
    ) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.win_length = win_length
        self.hop_length = hop_length
        self.num_deltas = num_deltas
        filters = melscale_fbanks(n_fft // 2 + 1, f_min, f_max or sample_rate / 2, n_mels, sample_rate)
        self.register_buffer("window", torch.hann_window(win_length), persistent=False)
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)  # (mel, bin)

    def forward(self, waveform: Tensor) -> Tensor:
        """Analyse clips.

        Args:
            waveform: (..., time) in [-1, 1].

        Returns:
            float32 (..., n_mels * (1 + num_deltas), 1 + time // hop_length), at least log(1.2e-7).

        Raises:
            ValueError: For clips shorter than one window.
        """
        check_length(waveform, max(self.win_length, self.n_fft // 2 + 1))  # the latter for the mirrored edges
        with torch.autocast(waveform.device.type, enabled=False):
            power = spectrogram(
                waveform.to(self.window.dtype),
                pad=0,
                window=self.window,
                n_fft=self.n_fft,
                hop_length=self.hop_length,
                win_length=self.win_length,
                power=2.0,
                normalized=False,
            )  # (..., bin, frame)
            log_mel = (self.filters @ power).add_(torch.finfo(torch.float32).eps).log_()
            return append_deltas(log_mel, self.num_deltas)
