"""Signals that show what an effect does to tone, noise, level and time, strung together to clips."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from datamodules.demo.signals import Signal

_SEGMENT_S = 0.1, 0.6


def compose(num_samples: int, sample_rate: int, random: Generator) -> Signal:
    """Signals of 0.1 to 0.6 s, one after the other, (num_samples,) in [-1, 1]."""
    segments, size = [], 0
    while size < num_samples:
        length = round(random.uniform(*_SEGMENT_S) * sample_rate)
        signal = _KINDS[random.integers(len(_KINDS))](np.arange(length) / sample_rate, random)
        segments.append(random.choice([-1, 1]) * signal / max(1.0, np.abs(signal).max()))
        size += length
    return np.concatenate(segments)[:num_samples]


def _sine(time: Signal, random: Generator) -> Signal:
    """One or two tones, perhaps with noise."""
    return _tones(time, random, 2) + random.choice([0, 0.2]) * random.uniform(-1, 1, time.shape)


def _pluck(time: Signal, random: Generator) -> Signal:
    """Up to three tones that fade after a quiet beginning, perhaps with pink noise."""
    start = random.uniform(0, 0.35) * time[-1]
    envelope = np.where(
        time < start, random.uniform(0.1, 0.2), np.exp(-random.uniform(2, 30) * (time - start))
    )
    tones = envelope * _tones(time, random, 3)
    return tones + random.choice([0, random.uniform(0.05, 0.3)]) * _pink(time, random)


def _steps(time: Signal, random: Generator) -> Signal:
    """A tone or noise that jumps from quiet to loud and to something between: attack and release."""
    levels = _box(time, random)
    carrier = random.uniform(-1, 1, time.shape) if random.random() < 0.3 else _tones(time, random, 1)
    return levels * carrier / max(np.abs(carrier).max(), 1e-9)


def _box(time: Signal, random: Generator) -> Signal:
    """The same jumps of a constant."""
    edges = np.sort(random.uniform(0, time[-1], 2))
    levels = np.array([random.uniform(0, 0.15), random.uniform(0.6, 0.95), random.uniform(0.1, 0.3)])
    return levels[np.searchsorted(edges, time)]


def _stairs(time: Signal, random: Generator) -> Signal:
    """A tone whose level rises from -30 dB by steps of 1 dB."""
    level = np.floor(np.linspace(-30, 0, len(time)))
    return 0.9 * 10 ** (level / 20) * np.sin(2 * np.pi * _frequency(random) * time)


def _sweep(time: Signal, random: Generator) -> Signal:
    """A tone that rises exponentially."""
    low, octaves = random.uniform(20, 200), random.uniform(2, 5)
    phase = low * time[-1] / (octaves * np.log(2)) * 2 ** (octaves * time / time[-1])
    return random.uniform(0.2, 0.9) * np.sin(2 * np.pi * phase)


def _tones(time: Signal, random: Generator, most: int) -> Signal:
    tones = [
        random.uniform(0.2, 0.9) * np.cos(2 * np.pi * (_frequency(random) * time + random.random()))
        for _ in range(random.integers(1, most + 1))
    ]
    return np.sum(tones, axis=0)


def _frequency(random: Generator) -> float:
    """20 Hz to 3 kHz, all octaves alike."""
    return 20 * 150 ** random.random()


def _pink(time: Signal, random: Generator) -> Signal:
    spectrum = random.uniform(-1, 1, len(time) // 2 + 1) / np.sqrt(np.arange(1, len(time) // 2 + 2))
    noise = np.fft.irfft(spectrum, len(time))
    return noise / np.abs(noise).max()


_KINDS: tuple[Callable[[Signal, Generator], Signal], ...] = (_sine, _pluck, _steps, _box, _stairs, _sweep)
