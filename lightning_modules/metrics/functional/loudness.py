"""Integrated loudness of ITU-R BS.1770-4."""

import math
from functools import lru_cache

import torch
from torch import Tensor

from lightning_modules.metrics.functional.signals import aligned

_FLOOR_LUFS = -70.0  # the absolute gate
_OFFSET_DB = -0.691
_RELATIVE_GATE_DB = -10.0
_BLOCK_S, _HOP_S = 0.4, 0.1
_RING_S = 1.0  # the high-pass's slow pole has died away after it


def loudness_lufs(waveform: Tensor, sample_rate: int) -> Tensor:
    """Integrated loudness (ITU-R BS.1770-4) in LUFS, (batch,).

    K-weighting, blocks of 400 ms every 100 ms, gates at -70 LUFS and 10 LU below the mean of what passes. All channels
    weigh 1. A clip shorter than a block is one block of its length; silence has -70 LUFS.

    Args:
        waveform: (batch, channel, time) with at most 2 channels: surround channels would have weights.
        sample_rate: In Hz, at least 8000.

    Raises:
        ValueError: For another shape or rate.
    """
    if waveform.ndim != 3 or waveform.shape[1] > 2 or sample_rate < 8000:
        raise ValueError(
            f"loudness of shape {tuple(waveform.shape)} at {sample_rate} Hz: give (batch, channel, time) of 1 or 2"
            " channels at 8000 Hz or more"
        )
    waveform, _ = aligned(waveform, waveform)
    with torch.autocast(waveform.device.type, enabled=False):
        power = k_weighted(waveform, sample_rate).square()
        block = min(round(_BLOCK_S * sample_rate), power.shape[-1])
        windows = power.unfold(-1, block, round(_HOP_S * sample_rate))
        blocks = windows.mean(dim=-1).sum(dim=1)  # (batch, block)
        passed = blocks > _to_power(_FLOOR_LUFS)
        relative = _gated_mean(blocks, passed) * 10 ** (_RELATIVE_GATE_DB / 10)
        gated = _gated_mean(blocks, passed & (blocks > relative.unsqueeze(1)))
        return _OFFSET_DB + 10 * gated.clamp_min(_to_power(_FLOOR_LUFS)).log10()


def lufs_error(estimate: Tensor, target: Tensor, sample_rate: int) -> Tensor:
    """Absolute difference of the integrated loudness of two signals (batch, channel, time) in LU, (batch,)."""
    return (loudness_lufs(estimate, sample_rate) - loudness_lufs(target, sample_rate)).abs()


def _to_power(lufs: float) -> float:
    return 10 ** ((lufs - _OFFSET_DB) / 10)


def _gated_mean(blocks: Tensor, passed: Tensor) -> Tensor:
    return (blocks * passed).sum(dim=1) / passed.sum(dim=1).clamp_min(1)


def k_weighted(waveform: Tensor, sample_rate: int) -> Tensor:
    """Filter (..., time) as BS.1770 does, in the frequency domain, padded until the response has died away."""
    time = waveform.shape[-1]
    n_fft = time + round(_RING_S * sample_rate)
    response = torch.ones(n_fft // 2 + 1, dtype=torch.complex128)
    for numerator, denominator in k_filters(sample_rate):
        response *= torch.fft.rfft(torch.tensor(numerator, dtype=torch.float64), n_fft)
        response /= torch.fft.rfft(torch.tensor(denominator, dtype=torch.float64), n_fft)
    spectrum = torch.fft.rfft(waveform, n_fft)
    return torch.fft.irfft(spectrum * response.to(spectrum), n_fft)[..., :time]


@lru_cache(maxsize=16)
def k_filters(sample_rate: int) -> tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]:
    """Numerator and denominator of the shelf (head) and the high-pass (RLB).

    The recommendation gives them at 48 kHz. These are the analogue filters of which they are the bilinear transforms
    (as libebur128 has found them), so that other rates weigh alike.
    """
    gain, q = 10 ** (3.999843853973347 / 20), 0.7071752369554196
    v, k = gain**0.4996667741545416, math.tan(math.pi * 1681.974450955533 / sample_rate)
    shelf = (
        [gain + v * k / q + k * k, 2 * (k * k - gain), gain - v * k / q + k * k],
        [1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k],
    )
    q, k = 0.5003270373238773, math.tan(math.pi * 38.13547087602444 / sample_rate)
    a = [1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k]
    high_pass = ([a[0], -2 * a[0], a[0]], a)  # the recommendation leaves the numerator 1, -2, 1
    return tuple(
        (tuple(value / a[0] for value in b), tuple(value / a[0] for value in a))
        for b, a in (shelf, high_pass)
    )
