"""Resampling between any two rates."""

import math
from collections.abc import Callable
from functools import lru_cache, partial

import torch
import torchaudio
from torch import Tensor

# Of a table of all kernels that occur; that of 44099 Hz to 16 kHz, which share no factor, would take gigabytes.
_MAX_KERNEL = 1 << 23


_ZERO_CROSSINGS = 6  # of the sinc on each side, as torchaudio has it


def resample(waveform: Tensor, source_rate: int, target_rate: int) -> Tensor:
    """Resample (..., time) by windowed sinc interpolation; the kernel of a pair of rates is built once.

    Returns:
        (..., ceil(time * target_rate / source_rate)), the input itself where the rates agree.
    """
    return waveform if source_rate == target_rate else _resampler(source_rate, target_rate)(waveform)


@lru_cache(maxsize=16)
def _resampler(source_rate: int, target_rate: int) -> Callable[[Tensor], Tensor]:
    divisor = math.gcd(source_rate, target_rate)
    source, target = source_rate // divisor, target_rate // divisor
    if source * target > _MAX_KERNEL:
        return partial(_resample_by_taps, source=source, target=target)
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
