"""Fixed band-pass filters of the sinc convolution that AASIST hears through."""

import math

import torch
from torch import Tensor


def sinc_filters(num_filters: int = 70, length: int = 129, *, sample_rate: int = 16000) -> Tensor:
    """Hamming-windowed sinc band-pass filters whose bands tile 0 Hz to Nyquist on the mel scale.

    Source: Ravanelli and Bengio, "Speaker recognition from raw waveform with SincNet" (2018), with the
    fixed mel-spaced bands of RawNet2 and AASIST.

    Args:
        num_filters: Number of adjacent bands.
        length: Taps of each filter; odd, so that the filters are symmetric.
        sample_rate: In Hz.

    Returns:
        float32 (filter, tap).

    Raises:
        ValueError: For an even length.
    """
    if length % 2 == 0:
        raise ValueError(f"filter length {length}: expected an odd number of taps, e.g. {length + 1}")
    nyquist_mel = 2595 * math.log10(1 + sample_rate / 2 / 700)
    mel = torch.linspace(0, nyquist_mel, num_filters + 1, dtype=torch.float64)
    edge = 2 * 700 * (10 ** (mel / 2595) - 1) / sample_rate  # 1 is Nyquist
    tap = torch.arange(length, dtype=torch.float64) - length // 2
    low_pass = edge[:, None] * torch.sinc(edge[:, None] * tap)  # (edge, tap)
    window = torch.hamming_window(length, periodic=False, dtype=torch.float64)
    return ((low_pass[1:] - low_pass[:-1]) * window).float()
