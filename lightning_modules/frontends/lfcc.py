"""Linear-frequency cepstral coefficients of the ASVspoof baselines."""

import torch
from torch import Tensor, nn
from torchaudio.functional import create_dct

from lightning_modules.frontends.deltas import append_deltas
from lightning_modules.frontends.length import check_length


class LFCC(nn.Module):
    """LFCC with log energy in place of coefficient 0, as the published LCNN checkpoints expect it.

    Pre-emphasis 0.97, Hamming window, power spectrum, linearly spaced triangular bands, logarithm to base 10,
    orthonormal DCT. Source: the LFCC-LCNN baselines of ASVspoof 2021. The defaults are those of the "toy"
    checkpoint; the LA and DF baselines use ``n_fft=1024, max_frequency=4000``.

    Args:
        sample_rate: In Hz.
        n_fft: Length of the Fourier transform in samples.
        win_length: Length of the window in samples.
        hop_length: Samples from frame to frame.
        num_filters: Number of bands, and of coefficients.
        max_frequency: Upper edge of the highest band in Hz; None is half the sample rate.
        num_deltas: 2 appends the first and second differences along time to every frame.
    """

    window: Tensor
    filters: Tensor
    dct: Tensor

    def __init__(
        self,
        sample_rate: int = 16000,
        *,
        n_fft: int = 512,
        win_length: int = 320,
        hop_length: int = 160,
        num_filters: int = 20,
        max_frequency: float | None = None,
        num_deltas: int = 2,
    ) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.win_length = win_length
        self.hop_length = hop_length
        self.num_deltas = num_deltas
        # As published, the share of the bins is cut down to an integer and the band edges span what is left.
        max_frequency = max_frequency or sample_rate / 2
        num_bins = int(max_frequency / (sample_rate / 2) * (n_fft // 2 + 1))
        frequency = torch.linspace(0, max_frequency, num_bins)
        lower, centre, upper = torch.linspace(0, max_frequency, num_filters + 2).unfold(0, 3, 1).T[..., None]
        rising = (frequency - lower) / (centre - lower)
        falling = (upper - frequency) / (upper - centre)
        filters = torch.minimum(rising, falling).clamp(min=0)  # (band, bin)
        self.register_buffer("window", torch.hamming_window(win_length), persistent=False)
        self.register_buffer("filters", filters, persistent=False)
        dct = create_dct(num_filters, num_filters, "ortho").to(filters.dtype)
        self.register_buffer("dct", dct.T.contiguous(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Analyse clips.

        Args:
            waveform: (..., time) in [-1, 1].

        Returns:
            float32 (..., num_filters * (1 + num_deltas), 1 + time // hop_length).

        Raises:
            ValueError: For clips shorter than one window.
        """
        check_length(waveform, self.win_length)
        with torch.autocast(waveform.device.type, enabled=False):
            clips = waveform.to(self.window.dtype).reshape(-1, waveform.shape[-1])
            power = self._power(clips)  # (clip, bin, frame)
            eps = torch.finfo(torch.float32).eps
            energy = (power.sum(dim=1, keepdim=True) / self.n_fft + eps).log10()
            cepstrum = self.dct[1:] @ (self.filters @ power + eps).log10()
            features = append_deltas(torch.cat([energy, cepstrum], dim=1), self.num_deltas)
            return features.reshape(*waveform.shape[:-1], *features.shape[1:])

    def _power(self, waveform: Tensor) -> Tensor:
        """Power of the pre-emphasised clips in the bins of the bands: (clip, time) -> (clip, bin, frame)."""
        emphasised = torch.cat([waveform[:, :1], waveform[:, 1:] - 0.97 * waveform[:, :-1]], dim=1)
        spectrum = torch.stft(
            emphasised,
            self.n_fft,
            self.hop_length,
            self.win_length,
            self.window,
            pad_mode="constant",
            return_complex=True,
        )[:, : self.filters.shape[1]]
        return spectrum.real.square() + spectrum.imag.square()
