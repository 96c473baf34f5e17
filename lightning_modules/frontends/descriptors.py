"""A few numbers that describe the loudness, brightness and timbre of a sound."""

import torch
from torch import Tensor, nn
from torchaudio.functional import create_dct

from lightning_modules.frontends.log_mel import LogMel

_MIN_POWER = 1e-10  # -100 dB full scale
_DECIBEL = 20.0  # one unit of level: keeps the descriptors alike in size
_KILO = 1000.0


class Descriptors(nn.Module):
    """Level, spectral centroid and mel cepstral coefficients of a clip.

    The level is the mean power of the samples relative to full scale, in units of 20 dB; the centroid is the mean
    frequency of the mel bands in kHz, weighted by their power over the clip; each coefficient is the mean over frames.

    Args:
        sample_rate: In Hz.
        n_fft: Length of the Fourier transform and of the Hann window in samples.
        hop_length: Samples from frame to frame.
        n_mels: Number of HTK mel bands.
        num_cepstra: Coefficients from the first on; the zeroth, the level again, is left out.

    Attributes:
        names: Of the descriptors, in their order.
    """

    dct: Tensor
    centres: Tensor

    def __init__(
        self,
        sample_rate: int = 16000,
        *,
        n_fft: int = 512,
        hop_length: int = 256,
        n_mels: int = 40,
        num_cepstra: int = 12,
    ) -> None:
        super().__init__()
        self.log_mel = LogMel(
            sample_rate,
            n_fft=n_fft,
            win_length=n_fft,
            hop_length=hop_length,
            n_mels=n_mels,
            offset=_MIN_POWER,
        )
        self.names = ["level", "centroid_khz", *(f"mfcc_{i + 1}" for i in range(num_cepstra))]
        frequency = torch.linspace(0, sample_rate / 2 / _KILO, n_fft // 2 + 1)
        filters = self.log_mel.filters  # (mel, bin)
        centres = filters @ frequency / filters.sum(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
        self.register_buffer("centres", centres, persistent=False)
        dct = create_dct(num_cepstra + 1, n_mels, norm="ortho")[:, 1:]
        self.register_buffer("dct", dct / n_mels**0.5, persistent=False)  # (mel, coefficient)

    def forward(self, waveform: Tensor) -> Tensor:
        """Describe clips.

        Args:
            waveform: (batch, time) in [-1, 1].

        Returns:
            float32 (batch, 2 + num_cepstra); the centroid of digital silence is the mean of the bands'.

        Raises:
            ValueError: For clips shorter than one window.
        """
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = waveform.float()
            log_mel = self.log_mel(waveform)  # (batch, mel, frame)
            mel = log_mel.exp().sum(dim=2)
            centroid = mel @ self.centres / mel.sum(dim=1)
            power = waveform.square().mean(dim=1).clamp_min(_MIN_POWER)
            level = 10 * power.log10() / _DECIBEL
            cepstra = log_mel.mean(dim=2) @ self.dct
            return torch.cat([level[:, None], centroid[:, None], cepstra], dim=1)
