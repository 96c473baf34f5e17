"""What the demo corpora share: levels, filters, and sounds in files of 16 bits."""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import ArrayLike, NDArray
from scipy.signal import butter, lfilter, sosfilt

Signal = NDArray[np.float64]


def unit_rms(sound: Signal) -> Signal:
    """Scale to RMS 1 around the mean; silence stays silent."""
    return sound / (sound.std() + 1e-12)


def limit(sound: Signal) -> Signal:
    """Turn down what would exceed full scale."""
    return sound * min(1.0, 0.99 / np.abs(sound).max())


def band(sound: Signal, rate: int, edges: ArrayLike, *, order: int = 2, kind: str = "bandpass") -> Signal:
    """What a Butterworth filter leaves of a sound."""
    return np.asarray(sosfilt(butter(order, edges, kind, fs=rate, output="sos"), sound))


def ring(impacts: Signal, rate: int, frequency: float, decay_s: float) -> Signal:
    """Impacts through one resonance."""
    radius = np.exp(-1 / (decay_s * rate))
    poles = [1, -2 * radius * np.cos(2 * np.pi * frequency / rate), radius**2]
    return np.asarray(lfilter([1, -1], poles, impacts))


def write_sound(path: Path, sound: Signal, rate: int) -> None:
    """Write a file, in the format that its name ends in and in a folder that may be new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate, subtype="PCM_16")
