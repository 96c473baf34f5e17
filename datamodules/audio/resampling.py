"""Resampling between any two rates.

Of a tone of 8.5 kHz, which 16 kHz cannot hold, torchaudio leaves -10.8 dB from 44.1 kHz, and of 10 kHz -45 dB; soxr HQ
-140 dB of both. `python -m lightning_modules.benchmark --resamplers` measures this, and their time; the README has it.
"""

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Resampler = Literal["soxr_hq", "torchaudio"]
"""What resamples: soxr at high quality, or torchaudio's windowed sinc as in all earlier versions."""

# Of a table of all kernels that occur; that of 44099 Hz to 16 kHz, which share no factor, would take gigabytes.
_MAX_KERNEL = 1 << 23


_SOXR_TAIL = 16  # samples
_ZERO_CROSSINGS = 6  # of the sinc on each side, as torchaudio has it


def resample(
    waveform: Tensor, source_rate: int, target_rate: int, resampler: Resampler = "torchaudio"
) -> Tensor:
    """Resample (..., time); sample 0 stays at time 0, and beyond both ends is silence.

    Args:
        waveform: What to resample.
        source_rate: Its rate in Hz.
        target_rate: That of the result.
        resampler: By what.

    Returns:
        (..., ceil(time * target_rate / source_rate)), the input itself where the rates agree.
    """
    if source_rate == target_rate:
        return waveform
    if resampler == "soxr_hq":
        return _resample_by_soxr(waveform, source_rate, target_rate)
    return _resampler(source_rate, target_rate)(waveform)


def _resample_by_soxr(waveform: Tensor, source_rate: int, target_rate: int) -> Tensor:
    import soxr  # reading alone does without

    size = -(-waveform.shape[-1] * target_rate // source_rate)
    samples = waveform.detach().cpu().reshape(-1, waveform.shape[-1])
    # soxr rounds its length down: silence behind the end gives the last samples
    samples = torch.nn.functional.pad(samples, (0, _SOXR_TAIL + source_rate // target_rate))
    found = soxr.resample(np.ascontiguousarray(samples.T.numpy()), source_rate, target_rate, quality="HQ")
    cut = torch.from_numpy(np.ascontiguousarray(found[:size].T))
    return cut.view(*waveform.shape[:-1], size).to(waveform.device)


@lru_cache(maxsize=16)
def _resampler(source_rate: int, target_rate: int) -> Callable[[Tensor], Tensor]:
    divisor = math.gcd(source_rate, target_rate)
    source, target = source_rate // divisor, target_rate // divisor
    if source * target > _MAX_KERNEL:
        return partial(_resample_by_taps, source=source, target=target)
    import torchaudio

    return torchaudio.transforms.Resample(source_rate, target_rate)


def _resample_by_taps(waveform: Tensor, *, source: int, target: int) -> Tensor:
    """The sums of torchaudio's `Resample`, with the kernel of each sample instead of a table of all that can occur."""
    cutoff = 0.99 * min(source, target) / source
    reach = math.ceil(_ZERO_CROSSINGS / cutoff)
    padded = torch.nn.functional.pad(waveform, (reach, reach))
    taps = torch.arange(-reach, reach + 1, device=waveform.device)
    size = -(-waveform.shape[-1] * target // source)
    parts = []
    for place in torch.arange(size, device=waveform.device).split(1 << 16):
        whole, rest = place * source // target, place * source % target
        distance = (taps - rest.double()[:, None] / target) * cutoff
        distance = distance.clamp(-_ZERO_CROSSINGS, _ZERO_CROSSINGS)
        window = (distance * (math.pi / 2 / _ZERO_CROSSINGS)).cos().square()
        kernel = (cutoff * window * distance.sinc()).to(waveform.dtype)
        parts.append((padded[..., whole[:, None] + taps + reach] * kernel).sum(dim=-1))
    return torch.cat(parts, dim=-1)
