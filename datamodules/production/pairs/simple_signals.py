"""Simple signals for trying an audio tool: sines, plucked strings, boxes; each a function of random numbers alone."""

import numpy as np
from numpy.typing import NDArray

SIGNALS = ("sine", "pluck", "box")

Samples = NDArray[np.float32]


def simple_signal(name: str, rng: np.random.Generator, *, length: int, sample_rate: int) -> Samples:
    """Draw one of `SIGNALS`: (length,) with peaks of 0.2 to 0.9 of full scale.

    A sine that decays or stays, at 60 Hz to an eighth of the rate; a pluck, harmonics that die away the faster the
    higher they are, after silence; boxes, a square wave of 2 to 8 half periods of different lengths.
    """
    make = {"sine": _sine, "pluck": _pluck, "box": _box}[name]
    amplitude = rng.uniform(0.2, 0.9)
    return (amplitude * make(rng, length, sample_rate)).astype(np.float32)


def _frequency(rng: np.random.Generator, highest: float) -> float:
    return 60 * (highest / 60) ** rng.uniform()


def _sine(rng: np.random.Generator, length: int, sample_rate: int) -> NDArray[np.float64]:
    time = np.arange(length) / length
    phase = 2 * np.pi * _frequency(rng, sample_rate / 8) / sample_rate * np.arange(length)
    return np.exp(-rng.uniform(0, 4) * time) * np.sin(phase + rng.uniform(0, 2 * np.pi))


def _pluck(rng: np.random.Generator, length: int, sample_rate: int) -> NDArray[np.float64]:
    begin = int(rng.integers(length // 2))
    time = np.arange(length - begin)
    fundamental = 2 * np.pi * _frequency(rng, sample_rate / 16) / sample_rate
    harmonics = np.arange(1, 5)[:, None]
    decay = np.exp(-harmonics * rng.uniform(2, 8) * time / length) / harmonics
    string = (decay * np.sin(harmonics * fundamental * time)).sum(axis=0)
    return np.concatenate([np.zeros(begin), string / np.abs(string).max().clip(1e-9)])


def _box(rng: np.random.Generator, length: int, _sample_rate: int) -> NDArray[np.float64]:
    edges = np.sort(rng.integers(length, size=int(rng.integers(1, 8))))
    return np.where(np.searchsorted(edges, np.arange(length), side="right") % 2, -1.0, 1.0)
