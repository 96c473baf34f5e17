"""Fixed band-pass filters of the sinc convolution that AASIST hears through."""

import math

import numpy as np
import torch
from torch import Tensor


def sinc_filters(num_filters: int = 70, length: int = 129, *, sample_rate: int = 16000) -> Tensor:
    """Hamming-windowed sinc band-pass filters whose bands tile 0 Hz to Nyquist on the mel scale.

    Source: Ravanelli and Bengio, "Speaker recognition from raw waveform with SincNet" (2018), with the fixed mel-spaced
    bands of RawNet2 and AASIST. Each operation is rounded as in the published code of AASIST, of which the filters are
    equal to the bit: float32 angles of up to 64 half turns leave five digits.

    Args:
        num_filters: Number of adjacent bands.
        length: Taps of each filter; odd, so that the filters are symmetric.
        sample_rate: In Hz.

    Returns:
        float32 (filter, tap).

    Raises:
        ValueError: For an even length.
    """
    _check_odd(length)
    nyquist_mel = 2595 * np.log10(1 + sample_rate // 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, nyquist_mel, num_filters + 1) / 2595) - 1)  # in Hz
    taps = np.arange(length, dtype=np.float32) - np.float32(length // 2)
    half_turns = (2 * edges).astype(np.float32)[:, None] * taps / np.float32(sample_rate)
    low_pass = (2 * edges / sample_rate)[:, None] * np.sinc(half_turns)  # float64 (edge, tap)
    return torch.from_numpy(
        np.hamming(length).astype(np.float32) * np.diff(low_pass, axis=0).astype(np.float32)
    )


def former_sinc_filters(num_filters: int = 70, length: int = 129, *, sample_rate: int = 16000) -> Tensor:
    """The same computed in float64 and rounded once, as AASIST heard here up to version 0.2."""
    _check_odd(length)
    nyquist_mel = 2595 * math.log10(1 + sample_rate / 2 / 700)
    mel = torch.linspace(0, nyquist_mel, num_filters + 1, dtype=torch.float64)
    edge = 2 * 700 * (10 ** (mel / 2595) - 1) / sample_rate  # 1 is Nyquist
    tap = torch.arange(length, dtype=torch.float64) - length // 2
    low_pass = edge[:, None] * torch.sinc(edge[:, None] * tap)  # (edge, tap)
    window = torch.hamming_window(length, periodic=False, dtype=torch.float64)
    return ((low_pass[1:] - low_pass[:-1]) * window).float()


def _check_odd(length: int) -> None:
    if length % 2 == 0:
        raise ValueError(f"filter length {length}: expected an odd number of taps, e.g. {length + 1}")
