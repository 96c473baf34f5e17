"""Distances of audio signals, for evaluation and as losses; float64 signals are measured in float64.

Signals are (..., time), in reports (batch, channel, time). Every function gives one value a clip, (batch,), and stays
finite on silence: a mean power below `SILENCE` counts as `SILENCE`.
"""

from typing import Literal, NamedTuple

from torch import Tensor
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

from lightning_modules.metrics.functional.loudness import loudness_lufs, lufs_error
from lightning_modules.metrics.functional.signals import SILENCE, aligned
from lightning_modules.metrics.functional.spectral_distance import multi_resolution_stft

__all__ = [
    "SILENCE",
    "FrameError",
    "Power",
    "esr",
    "gain_reduction_error",
    "loudness_lufs",
    "lufs_error",
    "mae",
    "multi_resolution_stft",
    "powers",
    "si_sdr",
    "snr",
    "snr_gain",
]

_ACTIVE_GAIN_DB = -1.0  # frames that a compressor turns down by more
_ACTIVE_LEVEL_DB = -50.0  # and whose input is louder


class Power(NamedTuple):
    """Mean powers of a clip, (batch,) each.

    Attributes:
        error: Of the estimate's difference from the target.
        target: Of the target, at least `SILENCE`.
    """

    error: Tensor
    target: Tensor


class FrameError(NamedTuple):
    """Mean absolute error over the counted frames of a clip, (batch,) each.

    Attributes:
        error: In dB; 0 where no frame counts.
        frames: How many count; weighted by them, the errors of clips give the pooled one.
    """

    error: Tensor
    frames: Tensor


def powers(estimate: Tensor, target: Tensor) -> Power:
    """Powers of error and target; what is pooled over a split is their sums, never a mean of ratios.

    Args:
        estimate: (batch, ..., time).
        target: The same shape.

    Raises:
        ValueError: If the shapes differ.
    """
    estimate, target = aligned(estimate, target)
    return Power(_mean_power(estimate - target), _mean_power(target).clamp_min(SILENCE))


def esr(estimate: Tensor, target: Tensor, *, over: Literal["pooled", "clip"] = "pooled") -> Tensor:
    """Error-to-signal ratio: energy of the error over that of the target, 0 at best, 1 for silence.

    Args:
        estimate: (batch, ..., time).
        target: The same shape.
        over: Sum over sum of all clips, a scalar, or of each by itself, (batch,).
    """
    error, signal = powers(estimate, target)
    return error.sum() / signal.sum() if over == "pooled" else error / signal


def mae(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error in units of full scale, (batch,)."""
    estimate, target = aligned(estimate, target)
    return (estimate - target).abs().flatten(1).mean(dim=1)


def snr(estimate: Tensor, target: Tensor) -> Tensor:
    """Signal-to-noise ratio of the estimate in dB, (batch,); a perfect one ends at the target's level over -100 dB."""
    error, signal = powers(estimate, target)
    return 10 * (signal / error.clamp_min(SILENCE)).log10()


def snr_gain(noisy: Tensor, estimate: Tensor, clean: Tensor) -> Tensor:
    """How much the estimate's signal-to-noise ratio lies above that of the noisy signal, in dB, (batch,)."""
    return snr(estimate, clean) - snr(noisy, clean)


def si_sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio (Le Roux et al. 2019) in dB, (batch,), over channels and time at once.

    A silent estimate has 0 dB, and so has a silent target that is met.
    """
    estimate, target = aligned(estimate, target)
    return scale_invariant_signal_distortion_ratio(estimate.flatten(1), target.flatten(1))


def gain_reduction_error(
    dry: Tensor, estimate: Tensor, target: Tensor, *, frame_length: int = 64
) -> FrameError:
    """How far an estimate's gain is from that of a compressor, in the frames that the compressor turns down.

    The gain of a frame is the ratio of its powers after and before, in dB. A frame counts whose true gain is below
    -1 dB and whose input lies above -50 dB to full scale.

    Args:
        dry: Input of the compressor, (batch, ..., time).
        estimate: What a model makes of it, the same shape.
        target: What the compressor made of it, the same shape.
        frame_length: Samples of a frame; what is left at the end is dropped.
    """
    estimate, target = aligned(estimate, target)
    dry, target = aligned(dry, target)
    level, found, wanted = (_frame_level(signal, frame_length) for signal in (dry, estimate, target))
    counts = (wanted - level < _ACTIVE_GAIN_DB) & (level > _ACTIVE_LEVEL_DB)
    frames = counts.flatten(1).sum(dim=1)
    error = ((found - wanted).abs() * counts).flatten(1).sum(dim=1)
    return FrameError(error / frames.clamp_min(1), frames)


def _frame_level(signal: Tensor, frame_length: int) -> Tensor:
    """Power of every frame in dB, (batch, ..., frame)."""
    power = signal.unfold(-1, frame_length, frame_length).square().mean(dim=-1)
    return 10 * power.clamp_min(SILENCE).log10()


def _mean_power(signal: Tensor) -> Tensor:
    return signal.flatten(1).square().mean(dim=1)
