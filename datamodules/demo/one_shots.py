"""A folder of one-shots: five kinds of drum hits of several synthetic kits, ``<class>/<kit>__<number>.flac``."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from datamodules.demo.signals import Signal, band, write_sound
from datamodules.files import new_folder

ONE_SHOTS_ROOT = "data/demo/one_shots"
_RATE = 22050
_SECONDS = 0.6


class _Kit(NamedTuple):
    """What the drums of a kit have in common, relative to the usual ones."""

    pitch: float
    decay: float
    brightness: float


def write_one_shots(folder: str | Path, *, seed: int = 0, num_kits: int = 6, num_hits: int = 8) -> None:
    """Write mono FLAC at 22.05 kHz, by default 240 hits of 0.6 s, 3 MB.

    Args:
        folder: Where to write; appears at once when complete.
        seed: The same one gives the same corpus.
        num_kits: Kits, each with a pitch, decay and brightness of its own.
        num_hits: Hits a class and kit.
    """
    with new_folder(folder) as root:
        for number in range(num_kits):
            random = np.random.default_rng([seed, number])
            kit = _Kit(*np.exp(random.uniform(-0.35, 0.35, 3)))
            for name, drum in _DRUMS.items():
                for hit in range(num_hits):
                    path = root / name / f"kit{number + 1}__{hit + 1}.flac"
                    write_sound(path, _hit(drum, kit, random), _RATE)


def _hit(drum: Callable[[Signal, _Kit, Generator], Signal], kit: _Kit, random: Generator) -> Signal:
    """One stroke, each a little different in pitch, decay, brightness and level."""
    stroke = _Kit(*(value * np.exp(random.normal(0, 0.06)) for value in kit))
    sound = drum(np.arange(round(_SECONDS * _RATE)) / _RATE, stroke, random)
    sound[-200:] *= np.linspace(1, 0, 200)
    return 10 ** (random.uniform(-12, -1) / 20) * sound / np.abs(sound).max()


def _kick(time: Signal, kit: _Kit, random: Generator) -> Signal:
    skin = _skin(time, 48 * kit.pitch, 3.0, 0.18 * kit.decay, kit)
    return skin + 0.15 * _noise(time, (800, 5000 * kit.brightness), 0.004, random)


def _tom(time: Signal, kit: _Kit, random: Generator) -> Signal:
    skin = _skin(time, random.choice([110, 150, 210]) * kit.pitch, 0.5, 0.16 * kit.decay, kit)
    return skin + 0.1 * _noise(time, (300, 3000 * kit.brightness), 0.02, random)


def _snare(time: Signal, kit: _Kit, random: Generator) -> Signal:
    rattle = _noise(time, (1200, 7000 * kit.brightness), 0.09 * kit.decay, random)
    return 0.6 * _falling_tone(time, 190 * kit.pitch, 0.3, 0.06 * kit.decay) + rattle


def _hihat(time: Signal, kit: _Kit, random: Generator) -> Signal:
    return _noise(time, (6000 * kit.brightness, 10500), random.choice([0.03, 0.2]) * kit.decay, random)


def _clap(time: Signal, kit: _Kit, random: Generator) -> Signal:
    """Several hands, one after the other."""
    sound = np.zeros_like(time)
    for start in (0, 0.011, 0.023):
        late = time >= start
        sound[late] += _noise(time[late] - start, (900, 2800 * kit.brightness), 0.008, random)
    tail = time >= 0.03
    sound[tail] += _noise(time[tail] - 0.03, (900, 2800 * kit.brightness), 0.07 * kit.decay, random)
    return sound


def _skin(time: Signal, pitch: float, fall: float, decay_s: float, kit: _Kit) -> Signal:
    """Two modes, whose ratio tells the kits apart."""
    second = _falling_tone(time, 1.6 * kit.brightness * pitch, fall, decay_s)
    return _falling_tone(time, pitch, fall, decay_s) + 0.8 * second


def _falling_tone(time: Signal, pitch: float, fall: float, decay_s: float) -> Signal:
    """A decaying sine that falls from (1 + fall) times its pitch, in Hz, within some 30 ms."""
    phase = pitch * (time + fall * 0.03 * (1 - np.exp(-time / 0.03)))
    return np.sin(2 * np.pi * phase) * np.exp(-time / decay_s)


def _noise(time: Signal, edges: tuple[float, float], decay_s: float, random: Generator) -> Signal:
    """Decaying noise of a band in Hz, RMS 0.35 at its start."""
    white = random.standard_normal(len(time))
    sound = band(white, _RATE, np.clip(edges, 20, 0.49 * _RATE))
    return 0.35 * sound / (sound.std() + 1e-12) * np.exp(-time / decay_s)


_DRUMS: Mapping[str, Callable[[Signal, _Kit, Generator], Signal]] = {
    "clap": _clap,
    "hihat": _hihat,
    "kick": _kick,
    "snare": _snare,
    "tom": _tom,
}
