"""Sound events of eight kinds, each drawn anew, in the noise of a place."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.fft import irfft, rfft, rfftfreq
from numpy.random import Generator

from datamodules.demo.signals import Signal, band, limit, ring, unit_rms

Event = Callable[[int, int, float, Generator], Signal]
"""(samples, sample rate in Hz, pitch relative to the usual, random) -> (sample,) at any level."""

_SNR_DB = -12.0, 8.0  # event over background
_LEVEL_DB = -32.0, -20.0
_PITCH = 0.8, 1.25


def record(event: Event, size: int, rate: int, random: Generator) -> Signal:
    """One event somewhere in (size,) samples of background, in [-1, 1], at a level that tells nothing.

    Args:
        event: One of `EVENTS`.
        size: Samples.
        rate: Sample rate in Hz.
        random: Draws all there is to draw.
    """
    length = round(size * random.uniform(0.6, 1.0))
    begin = random.integers(size - length + 1)
    sound = np.zeros(size)
    sound[begin : begin + length] = unit_rms(event(length, rate, random.uniform(*_PITCH), random))
    noise = 10 ** (-random.uniform(*_SNR_DB) / 20) * background(size, random)
    return limit(10 ** (random.uniform(*_LEVEL_DB) / 20) * (sound + noise))


def background(size: int, random: Generator) -> Signal:
    """Coloured noise with RMS 1, between white and red, whose loudness wanders."""
    spectrum = rfft(random.standard_normal(size))
    spectrum *= np.maximum(rfftfreq(size), 20 / size) ** -random.uniform(0.1, 0.9)
    points = random.uniform(0.6, 1.0, 5)
    return unit_rms(irfft(spectrum, size) * np.interp(np.linspace(0, 4, size), np.arange(5), points))


def _siren(size: int, rate: int, pitch: float, random: Generator) -> Signal:
    """Harmonics that sweep up and down."""
    sweep = np.cos(2 * np.pi * random.uniform(0.6, 4.0) * np.arange(size) / rate + random.uniform(0, 6))
    return _harmonics(800 * pitch * 1.4**sweep, rate, random.uniform(0.2, 1.0, 5))


def _bark(size: int, rate: int, pitch: float, random: Generator) -> Signal:
    """Short hoarse bursts of falling pitch."""
    since, when = _since_onsets(size, rate, random, period_s=(0.25, 0.6))
    fall = 450 * pitch * (0.6 + 0.6 * np.exp(-since / 0.06))
    hoarse = 1 + 0.8 * random.standard_normal(size)
    envelope = when * np.minimum(since / 0.01, 1) * np.exp(-since / 0.06)
    return envelope * hoarse * _harmonics(fall, rate, np.ones(8))


def _bell(size: int, rate: int, pitch: float, random: Generator) -> Signal:
    """Strokes whose partials, a minor third among them, die away the faster the higher they are."""
    since, when = _since_onsets(size, rate, random, period_s=(0.6, 1.4))
    partials = np.array([0.5, 1.0, 1.19, 1.5, 2.0, 2.74, 4.07]) * 620 * pitch
    rings = [
        amplitude * np.exp(-since * (partial / 900)) * np.sin(2 * np.pi * partial * since)
        for partial, amplitude in zip(partials, random.uniform(0.3, 1.0, 7), strict=True)
    ]
    return when * np.sum(rings, axis=0)


def _engine(size: int, rate: int, pitch: float, random: Generator) -> Signal:
    """Firing strokes at a speed that drifts, and noise in their rhythm."""
    drift = np.interp(np.linspace(0, 3, size), np.arange(4), random.uniform(0.85, 1.2, 4))
    strokes = 45 * pitch * drift
    noise = band(random.standard_normal(size), rate, (300, 1500))
    puffs = unit_rms(noise * (1 + _harmonics(strokes, rate, np.ones(2))))
    tones = unit_rms(_harmonics(strokes, rate, random.uniform(0.3, 1, 12)))
    return tones + random.uniform(0.1, 0.4) * puffs


def _rain(size: int, rate: int, pitch: float, random: Generator) -> Signal:
    """Thousands of drops a second and the hiss of those far away."""
    drops = (random.random(size) < random.uniform(200, 1500) / rate) * random.exponential(1, size)
    near = band(drops, rate, (min(1800 * pitch, 0.2 * rate), 0.45 * rate))
    return unit_rms(near) + unit_rms(band(random.standard_normal(size), rate, (900 * pitch, 0.4 * rate)))


def _knock(size: int, rate: int, pitch: float, random: Generator) -> Signal:
    """Blows on wood: two dull resonances that ring for hundredths of a second."""
    blows = np.zeros(size)
    time = random.uniform(0.0, 0.1)
    while (place := round(time * rate)) < size:
        blows[place] = random.uniform(0.6, 1)
        time += random.uniform(0.12, 0.3)
    return ring(blows, rate, 180 * pitch, 0.03) + 0.5 * ring(blows, rate, 480 * pitch, 0.015)


def _chirp(size: int, rate: int, pitch: float, random: Generator) -> Signal:
    """Whistles of a tenth of a second that sweep about 4 kHz."""
    since, when = _since_onsets(size, rate, random, period_s=(0.12, 0.3))
    shape = np.sin(np.pi * np.clip(since / 0.1, 0, 1))
    frequency = np.minimum(3500 * pitch * (1 + random.uniform(-0.3, 0.3) * (since / 0.05 - 1)), 0.45 * rate)
    return when * shape * _harmonics(frequency, rate, np.ones(1))


def _hum(size: int, rate: int, pitch: float, random: Generator) -> Signal:
    """Steady odd harmonics, as of a transformer."""
    amplitudes = random.uniform(0.3, 1, 15) * (np.arange(15) % 2 == 0)
    return _harmonics(np.full(size, 110 * pitch), rate, amplitudes)


EVENTS: Mapping[str, Event] = {
    "siren": _siren,
    "bark": _bark,
    "bell": _bell,
    "engine": _engine,
    "rain": _rain,
    "knock": _knock,
    "chirp": _chirp,
    "hum": _hum,
}


def _since_onsets(
    size: int, rate: int, random: Generator, *, period_s: tuple[float, float]
) -> tuple[Signal, Signal]:
    """Seconds (sample,) since the last of several onsets, and how loud each one is, 0 before the first."""
    periods = random.uniform(*period_s) * random.uniform(0.8, 1.25, 2 + int(size / rate / period_s[0] * 1.6))
    onsets = random.uniform(0, 0.1) + np.cumsum(periods) - periods[0]
    time = np.arange(size) / rate
    last = np.searchsorted(onsets, time, side="right") - 1
    loudness = np.append(random.uniform(0.5, 1, len(onsets)), 0.0)
    return np.maximum(time - onsets[last], 0), loudness[last]


def _harmonics(frequency: Signal, rate: int, amplitudes: Signal) -> Signal:
    """Harmonics (sample,) of a moving fundamental in Hz, each up to the Nyquist rate."""
    phase = 2 * np.pi * np.cumsum(frequency) / rate
    total = np.zeros(len(frequency))
    for order, amplitude in enumerate(amplitudes, start=1):
        total += amplitude * (order * frequency < rate / 2) * np.sin(order * phase)
    return total
