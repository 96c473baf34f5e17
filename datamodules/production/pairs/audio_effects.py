"""Audio effects computed for many clips at once, to make training pairs from.

Sources: the compressor is E. Tarr's (Hack Audio, 2018, chapter 18); knobs and ranges are those of SignalTrain (Hawley,
Colburn and Mimilakis, AES 147, 2019, github.com/drscotthawley/signaltrain) where it has the effect.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfilt

Samples = NDArray[np.float64]
"""(clip, time)"""

_FLOOR_DB = -96.0


@dataclass(frozen=True)
class Effect:
    """An effect and its knobs.

    Attributes:
        name: As it stands in file names.
        knobs: Name -> least and greatest setting, in the knob's own unit.
        apply: (clip, time), knob settings (clip, knob), sample rate in Hz, random -> (clip, time).
        inverse: The network learns to undo it: its input is what the effect gives.
    """

    name: str
    knobs: Mapping[str, tuple[float, float]]
    apply: Callable[[Samples, Samples, int, Generator], Samples]
    inverse: bool = False


def compress(clips: Samples, knobs: Samples, sample_rate: int, _: Generator | None = None) -> Samples:
    """Compressor: threshold in dB, ratio, attack and release in seconds (for 10 to 90 % of a step).

    The gain reduction in dB passes a one-pole smoother whose pole depends on whether it grows or shrinks; that cannot
    be a filter, so time is walked through once for all clips.
    """
    threshold, ratio, attack, release = (knob[:, None] for knob in knobs.T)
    level = np.maximum(20 * np.log10(np.abs(clips) + 1e-8), _FLOOR_DB)
    wanted = np.minimum((threshold - level) * (1 - 1 / ratio), 0).T.copy()  # (time, clip)
    attack, release = (np.exp(-np.log(9) / (sample_rate * seconds[:, 0])) for seconds in (attack, release))
    gain = wanted  # overwritten step by step
    gain[0] = 0
    for before, now in pairwise(gain):
        pole = np.where(now < before, attack, release)
        now += pole * (before - now)
    return clips * 10 ** (gain.T / 20)


def echo(clips: Samples, knobs: Samples, _: int, __: Generator | None = None) -> Samples:
    """Echoes: delay in samples (fractions by linear interpolation), ratio of successive levels, number."""
    output = clips.copy()
    for wet, dry, (delay, ratio, echoes) in zip(output, clips, knobs, strict=True):
        for number in range(1, round(echoes) + 1):
            whole, fraction = divmod(number * delay, 1)
            for shift, weight in ((int(whole), 1 - fraction), (int(whole) + 1, fraction)):
                wet[shift:] += ratio**number * weight * dry[: max(len(dry) - shift, 0)]
    return output


def low_pass(clips: Samples, knobs: Samples, sample_rate: int, _: Generator | None = None) -> Samples:
    """Butterworth filter of third order: cutoff in Hz."""
    filters = (butter(3, cutoff, fs=sample_rate, output="sos") for (cutoff,) in knobs)
    return np.stack([np.asarray(sosfilt(sos, clip)) for sos, clip in zip(filters, clips, strict=True)])


def distort(clips: Samples, knobs: Samples, _: int, __: Generator | None = None) -> Samples:
    """Soft clipping: drive in dB before, level in dB after."""
    drive, level = 10 ** (knobs.T[:, :, None] / 20)
    return level * np.tanh(drive * clips)


def add_noise(clips: Samples, knobs: Samples, _: int, random: Generator) -> Samples:
    """Uniform white noise of amplitude `strength`."""
    return clips + knobs * random.uniform(-1, 1, clips.shape)


def shift(clips: Samples, knobs: Samples, sample_rate: int, random: Generator) -> Samples:
    """Move clips forwards or back by a random part, up to `strength`, of a tenth of a second."""
    shifts = np.rint(0.1 * sample_rate * knobs[:, 0] * random.uniform(-1, 1, len(clips))).astype(int)
    output = np.zeros_like(clips)
    for moved, clip, by in zip(output, clips, shifts, strict=True):
        moved[max(by, 0) : len(clip) + min(by, 0)] = clip[max(-by, 0) : len(clip) - max(by, 0)]
    return output


def amplify(clips: Samples, _: Samples, sample_rate: int, __: Generator | None = None) -> Samples:
    """A guitar amplifier and its cabinet, nothing to turn: high pass, 24 dB, uneven clipping, band, room of 10 ms."""
    pushed = 10 ** (24 / 20) * np.asarray(sosfilt(_band(sample_rate, 90, None), clips))
    clipped = np.tanh(pushed + 0.3) - np.tanh(0.3)
    cabinet = sosfilt(_band(sample_rate, 110, 4500), clipped)
    return 0.5 * fftconvolve(cabinet, _tail(sample_rate)[None], axes=1)[:, : clips.shape[1]]


def _band(sample_rate: int, low: float, high: float | None) -> NDArray[np.float64]:
    band = (low, "highpass") if high is None else ((low, min(high, 0.45 * sample_rate)), "bandpass")
    return np.asarray(butter(2, band[0], band[1], fs=sample_rate, output="sos"))


@lru_cache
def _tail(sample_rate: int) -> NDArray[np.float64]:
    """A direct sound and a fading random tail, the same for everyone."""
    size = round(0.01 * sample_rate)
    tail = 0.2 * np.random.default_rng(0).standard_normal(size) * np.exp(-5 * np.arange(size) / size)
    tail[0] = 1
    return tail


_DYNAMICS = {
    "threshold": (-30.0, 0.0),
    "ratio": (1.0, 5.0),
    "attack": (1e-3, 0.04),
    "release": (1e-3, 0.04),
}
EFFECTS = {
    "compressor": Effect("Compressor4C", _DYNAMICS, compress),
    "echo": Effect("Echo", {"delay_samples": (100, 1500), "ratio": (0.1, 0.9), "echoes": (1, 2)}, echo),
    "low_pass": Effect("LowPass", {"cutoff": (10.0, 2000.0)}, low_pass),
    "distortion": Effect("Distortion", {"drive": (0.0, 30.0), "level": (-12.0, 0.0)}, distort),
    "denoise": Effect("Denoise", {"strength": (0.0, 0.5)}, add_noise, inverse=True),
    "time_align": Effect("TimeAlign", {"strength": (0.0, 0.5)}, shift, inverse=True),
    "amplifier": Effect("Amplifier", {}, amplify),
}
"""Name on the command line -> effect."""
