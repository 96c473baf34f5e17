"""Spectral subtraction: denoising without learning."""

import math

import torch
from torch import Tensor, nn

from lightning_modules.frontends.stft import STFT


class SpectralSubtraction(nn.Module):
    """Subtracts the noise's power in every bin several times (Berouti et al. 1979), phases untouched.

    The noise is taken as stationary. Blindly, its power is read off the quiet frames of a bin: the `quantile` of the
    powers |X|^2 over time, which of Gaussian noise are exponentially distributed, divided by -ln(1 - quantile). A sound
    that fills most of the clip passes for noise.

    Args:
        n_fft: Length of the Fourier transform and the Hann window in samples.
        hop_length: Samples from frame to frame.
        factor: How many times its mean power the noise is subtracted, for its peaks' sake.
        quantile: Share of frames of a bin that hold no more than noise.
        floor: Least gain, as a ratio of amplitudes.

    Raises:
        ValueError: For a quantile or a floor out of (0, 1).
    """

    def __init__(
        self,
        n_fft: int = 512,
        *,
        hop_length: int = 128,
        factor: float = 4.0,
        quantile: float = 0.2,
        floor: float = 0.05,
    ) -> None:
        super().__init__()
        if not 0 < quantile < 1 or not 0 < floor < 1:
            raise ValueError(f"quantile {quantile}, floor {floor}: expected both between 0 and 1")
        self.factor, self.quantile, self.floor = factor, quantile, floor
        self.stft = STFT(n_fft, hop_length=hop_length)

    def forward(self, waveform: Tensor, noise: Tensor | None = None) -> Tensor:
        """Denoise.

        Args:
            waveform: (batch, channel, time).
            noise: The noise alone, the same shape, as an oracle would know it; None estimates its power blindly.

        Returns:
            The same shape in float32, or float64 after ``double()``.
        """
        spectrum = self.stft(waveform)
        with torch.autocast(waveform.device.type, enabled=False):
            power = spectrum.abs().square()
            if noise is None:
                rank = max(round(self.quantile * power.shape[-1]), 1)
                # `torch.quantile` refuses long recordings.
                quiet = power.kthvalue(rank, dim=-1, keepdim=True).values
                noise_power = quiet / -math.log1p(-self.quantile)
            else:
                noise_power = self.stft(noise).abs().square().mean(dim=-1, keepdim=True)
            tiny = torch.finfo(power.dtype).tiny
            gain = (1 - self.factor * noise_power / power.clamp_min(tiny)).clamp_min(self.floor**2).sqrt()
            return self.stft.inverse(spectrum * gain, waveform.shape[-1])
