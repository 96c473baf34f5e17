"""What resamplers leave of sound that the target rate cannot hold, take from what it can, and cost."""

import math
import time
from typing import get_args

import torch
from torch import Tensor

from datamodules.audio import Resampler, resample

SOURCE, TARGET = 44100, 16000
"""Rates in Hz: what most recordings have, and what most methods here hear."""

_SECONDS = 4.0
_BEYOND = (8500, 10000)  # Hz
_WITHIN = (*range(500, 7001, 500), 7500)
_ROUNDS = 15


def resampler_figures() -> dict[Resampler, dict[str, float]]:
    """Resampler -> its figures, from 44.1 to 16 kHz.

    ``left_<f>_db`` is the level of what is left of a tone of f Hz, ``lost_7500_db`` what a tone of 7.5 kHz loses,
    ``ripple_db`` the most that one up to 7 kHz gains or loses, ``ms`` the time for four seconds of mono.
    """
    resamplers: tuple[Resampler, ...] = get_args(Resampler)
    found: dict[Resampler, dict[str, float]] = {}
    for name in resamplers:
        gains = {frequency: gain_db(frequency, name) for frequency in (*_BEYOND, *_WITHIN)}
        figures: dict[str, float] = {f"left_{frequency}_db": gains[frequency] for frequency in _BEYOND}
        figures["lost_7500_db"] = -gains[7500]
        figures["ripple_db"] = max(abs(gains[frequency]) for frequency in _WITHIN if frequency <= 7000)
        found[name] = figures
    tone = _tone(1000)
    seconds: dict[Resampler, float] = dict.fromkeys(resamplers, math.inf)
    for _ in range(_ROUNDS):  # in turns; what else the machine does only adds time
        for name in resamplers:
            since = time.perf_counter()
            resample(tone, SOURCE, TARGET, name)
            seconds[name] = min(seconds[name], time.perf_counter() - since)
    for name, figures in found.items():
        figures["ms"] = 1000 * seconds[name]
    return found


def gain_db(frequency: float, resampler: Resampler) -> float:
    """Level of a resampled tone, away from its ends, over its own."""
    tone = _tone(frequency)
    found = resample(tone, SOURCE, TARGET, resampler)[2000:-2000]
    return 10 * math.log10(max(_power(found) / _power(tone), 1e-30))


def _tone(frequency: float) -> Tensor:
    time_s = torch.arange(round(_SECONDS * SOURCE), dtype=torch.float64) / SOURCE
    return (0.5 * torch.sin(2 * math.pi * frequency * time_s)).float()


def _power(sound: Tensor) -> float:
    return sound.double().square().mean().item()
