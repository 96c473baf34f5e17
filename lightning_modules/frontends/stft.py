"""Short-time Fourier transform of multichannel clips and back."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class STFT(nn.Module):
    """Short-time Fourier transform in Hann windows that an inverse follows: an untouched spectrum gives the clip.

    The computation has the type of the window, float32 or after ``double()`` float64, under autocast too.

    Args:
        n_fft: Length of the Fourier transform and of the window in samples.
        hop_length: Samples from frame to frame, at most half of `n_fft`.

    Raises:
        ValueError: For a hop that leaves samples without a window.
    """

    window: Tensor

    def __init__(self, n_fft: int = 512, *, hop_length: int = 256) -> None:
        super().__init__()
        if not 1 <= hop_length <= n_fft // 2:
            raise ValueError(
                f"hop_length={hop_length}: expected 1 to n_fft // 2 = {n_fft // 2}, which can be inverted"
            )
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Analyse (..., time): complex (..., n_fft // 2 + 1, 1 + ceil(time / hop_length))."""
        time = waveform.shape[-1]
        with torch.autocast(waveform.device.type, enabled=False):
            # The last samples are in two windows like all others; in one alone its tail would be divided out.
            padded = F.pad(waveform.to(self.window.dtype), (0, -time % self.hop_length)).flatten(0, -2)
            spectrum = torch.stft(
                padded,
                self.n_fft,
                self.hop_length,
                window=self.window,
                pad_mode="constant",
                return_complex=True,
            )
        return spectrum.unflatten(0, waveform.shape[:-1])

    def inverse(self, spectrum: Tensor, num_samples: int) -> Tensor:
        """Synthesise the first `num_samples` of (..., bin, frame): (..., num_samples)."""
        waveform = torch.istft(
            spectrum.flatten(0, -3), self.n_fft, self.hop_length, window=self.window, length=num_samples
        )
        return waveform.unflatten(0, spectrum.shape[:-2])
