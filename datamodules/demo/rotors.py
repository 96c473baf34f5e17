"""Rotating machines from their mechanics: tones of shaft and blades, flow, housing, faults, the place they stand.

The faults' signatures are those of Randall and Antoni, Rolling Element Bearing Diagnostics, Mechanical Systems and
Signal Processing 25, 2011, section 2: impacts ring at a resonance and come at a rate slightly off the turns'.
"""

from dataclasses import dataclass

import numpy as np
from numpy.fft import irfft, rfft, rfftfreq
from numpy.random import Generator
from scipy.signal import fftconvolve

from datamodules.demo.signals import Signal, ring, unit_rms

RATE = 16000
_NYQUIST = 7600.0  # tones end below it
_FAULT_DB = {False: (-8.0, -3.0), True: (-19.0, -13.0)}  # fault over machine, in a factory and on a desk
_IMBALANCE = {False: (4.0, 8.0), True: (2.0, 3.0)}  # the shaft's tone, over that of a balanced one
_MACHINE_DB = {False: (4.0, 8.0), True: (10.0, 14.0)}  # machine over background


@dataclass(frozen=True)
class Kind:
    """A type of machine.

    Attributes:
        rotation: Range of shaft speeds in Hz.
        blades: Range of blades or teeth a turn.
        flow: Level of the flow's noise over the tones.
        strokes: Range of actuations a second of what opens and closes; 0 for what runs all the time.
        faults: What may break.
        desk: Recorded close, on a desk (as ToyADMOS), not in a factory (as MIMII).
    """

    rotation: tuple[float, float]
    blades: tuple[int, int]
    flow: float
    strokes: tuple[float, float] = (0.0, 0.0)
    faults: tuple[str, ...] = ("bearing", "imbalance", "slip", "rattle")
    desk: bool = False


@dataclass(frozen=True)
class Rotor:
    """What stays the same between the clips of one machine: its geometry and its place.

    Attributes:
        kind: Its type.
        rotation: Shaft speed in Hz.
        blades: Blades or teeth a turn.
        strokes: Actuations a second.
        balls: Impacts a turn of a damaged bearing, never a whole number.
        shaft: (harmonic,) amplitudes of the shaft's tones.
        passing: (harmonic,) amplitudes of the blades' tones.
        housing: (resonance, 3) frequency in Hz, relative width and gain.
        ringing: Frequency in Hz at which impacts ring.
        room: Seed of the impulse response between machine and microphone.
    """

    kind: Kind
    rotation: float
    blades: int
    strokes: float
    balls: float
    shaft: Signal
    passing: Signal
    housing: Signal
    ringing: float
    room: int

    @classmethod
    def draw(cls, kind: Kind, random: Generator) -> "Rotor":
        """A new machine of a kind."""
        order = np.arange(1, 9)
        resonances = np.array([220, 650, 1500, 3300]) * random.uniform(0.75, 1.35, 4)
        return cls(
            kind=kind,
            rotation=random.uniform(*kind.rotation),
            blades=int(random.integers(*kind.blades, endpoint=True)),
            strokes=random.uniform(*kind.strokes),
            balls=int(random.integers(3, 6)) + random.uniform(0.2, 0.8),
            shaft=random.uniform(0.2, 1, 8) / order,
            passing=random.uniform(0.3, 1, 8) / order**0.7,
            housing=np.stack([resonances, random.uniform(0.05, 0.2, 4), random.uniform(1, 6, 4)], axis=1),
            ringing=random.uniform(2600, 5200),
            room=int(random.integers(1 << 30)),
        )


def record(rotor: Rotor, seconds: float, random: Generator, *, fault: str | None = None) -> Signal:
    """A recording (sample,) with RMS 1; load and background are the clip's own, whether or not there is a fault."""
    size = round(seconds * RATE)
    slip = _bursts(size, random) if fault == "slip" else np.zeros(size)
    turns = np.cumsum(rotor.rotation * (_load(size, random) - 0.05 * slip)) / RATE
    stroke, clicks = _strokes(rotor, size, random)
    sound = stroke * _running(
        rotor, turns, random, imbalance=random.uniform(2.5, 5) if fault == "imbalance" else 1
    )
    sound = _through_housing(rotor, unit_rms(sound) + clicks)
    if fault in _SOUNDS:
        when = {"slip": slip, "leak": stroke.max() - stroke}.get(fault, stroke)
        noise = unit_rms(when * _SOUNDS[fault](rotor, turns, random))
        sound = unit_rms(sound) + 10 ** (random.uniform(*_FAULT_DB[rotor.kind.desk]) / 20) * noise
    sound = unit_rms(_in_room(rotor, sound))
    background_db = random.uniform(*_MACHINE_DB[rotor.kind.desk])
    return unit_rms(sound + 10 ** (-background_db / 20) * _background(rotor, size, random))


def _load(size: int, random: Generator) -> Signal:
    """Relative speed: another load in every clip, which drifts."""
    points = random.normal(1 + random.uniform(-0.02, 0.02), 0.004, 2 + size // RATE)
    return np.interp(np.linspace(0, len(points) - 1, size), np.arange(len(points)), points)


def _strokes(rotor: Rotor, size: int, random: Generator) -> tuple[Signal, Signal]:
    """How open a valve is, with the clicks of its stops; a machine without strokes is always open."""
    if not rotor.strokes:
        return np.ones(size), np.zeros(size)
    phase = rotor.strokes * np.arange(size) / RATE + random.uniform()
    since = phase % 1 / rotor.strokes  # seconds since it opened
    clicks = 30 * np.diff(np.floor(phase), prepend=np.floor(phase[0]))
    clicks[RATE // 12 :] -= 0.6 * clicks[: -(RATE // 12)]  # closes again
    return 0.05 + np.exp(-since / 0.04), clicks * random.uniform(0.8, 1.2, size)


def _running(rotor: Rotor, turns: Signal, random: Generator, *, imbalance: float) -> Signal:
    """Tones of shaft and blades, and flow that is chopped by the blades.

    An imbalance multiplies the tone of the shaft itself and modulates all others with it.
    """
    amplitudes = rotor.shaft * random.uniform(0.8, 1.25, 8)
    amplitudes[:3] *= [imbalance, imbalance**0.5, imbalance**0.5]
    tones = _harmonics(turns, rotor.rotation, amplitudes)
    tones += _harmonics(
        rotor.blades * turns, rotor.blades * rotor.rotation, rotor.passing * random.uniform(0.8, 1.25, 8)
    )
    chopped = 1 + 0.4 * np.cos(2 * np.pi * rotor.blades * turns)
    flow = rotor.kind.flow * random.uniform(0.8, 1.25) * chopped * random.standard_normal(len(turns))
    swing = 1 + 0.12 * (imbalance - 1) * np.cos(2 * np.pi * turns)
    return swing * (tones + flow)


def _harmonics(turns: Signal, frequency: float, amplitudes: Signal) -> Signal:
    """A cosine for each amplitude, at whole multiples, up to the Nyquist rate."""
    turn = np.exp(2j * np.pi * turns)
    power, total = np.ones_like(turn), np.zeros(len(turns))
    for amplitude in amplitudes[: int(_NYQUIST / frequency)]:
        power *= turn
        total += amplitude * np.real(power)
    return total


def _through_housing(rotor: Rotor, sound: Signal) -> Signal:
    """Resonances of the housing, and the fall of noise towards high frequencies."""
    frequency = np.maximum(rfftfreq(len(sound), 1 / RATE), 1.0)
    centre, width, gain = (column[:, None] for column in rotor.housing.T)
    response = 1 + (gain / (1 + 1j * (frequency / centre - centre / frequency) / width)).sum(axis=0)
    return irfft(rfft(sound) * response / np.sqrt(1 + (frequency / 1500) ** 2), len(sound))


def _in_room(rotor: Rotor, sound: Signal) -> Signal:
    """The direct sound and a decaying tail: 0.1 s on a desk, 0.5 s in a factory."""
    random = np.random.default_rng(rotor.room)
    decay_s, tail = (0.1, 0.15) if rotor.kind.desk else (0.5, 0.5)
    response = random.standard_normal(round(decay_s * RATE))
    response *= 10 ** (-3 * np.arange(len(response)) / len(response))
    response *= tail / np.sqrt((response**2).sum())
    response[0] = 1
    return fftconvolve(sound, response)[: len(sound)]


def _background(rotor: Rotor, size: int, random: Generator) -> Signal:
    """Noise of the place with RMS 1: rumble, mains hum and other machines of a factory, or a quiet room."""
    colour = np.maximum(rfftfreq(size, 1 / RATE), 40) ** -random.uniform(0.4, 0.6)
    noise = unit_rms(irfft(rfft(random.standard_normal(size)) * colour, size))
    if rotor.kind.desk:
        return noise
    turns = np.arange(size) / RATE
    hum = _harmonics(50 * turns, 50, np.array([1, 0.4, 0.3]))
    speed = random.uniform(10, 60)
    others = _harmonics(speed * turns, speed, random.uniform(0, 1, 20) / np.arange(1, 21) ** 0.5)
    return unit_rms(noise + 0.2 * unit_rms(hum) + 0.5 * unit_rms(others))


def _bearing(rotor: Rotor, turns: Signal, random: Generator) -> Signal:
    """Impacts of balls on a pit, loudest where the load presses; slip of the balls makes their rate wander."""
    wander = np.cumsum(random.standard_normal(len(turns))) * 2e-4
    impacts = np.diff(np.floor(rotor.balls * turns + wander), prepend=0) > 0
    heights = random.uniform(0.7, 1.3, len(turns)) * (1 + 0.7 * np.cos(2 * np.pi * turns))
    return ring(impacts * heights, RATE, rotor.ringing, decay_s=0.002)


def _rattle(rotor: Rotor, turns: Signal, random: Generator) -> Signal:
    """A loose part that knocks in some turns, somewhere near the same angle."""
    knocks = np.diff(np.floor(turns), prepend=0) > 0
    place = np.flatnonzero(knocks)
    place = place[random.random(len(place)) < 0.4]
    place = np.minimum(place + random.integers(0, RATE // 100, len(place)), len(turns) - 1)
    heights = np.zeros(len(turns))
    heights[place] = random.exponential(1, len(place))
    return ring(heights, RATE, 1900, decay_s=0.004) + 0.7 * ring(
        heights, RATE, 0.8 * rotor.ringing, decay_s=0.002
    )


def _squeal(rotor: Rotor, turns: Signal, random: Generator) -> Signal:
    """A belt that sticks and slips at its own pitch, which follows the speed."""
    ratio = random.uniform(0.9, 1.1) * 0.25 * rotor.ringing / rotor.rotation
    return _harmonics(ratio * turns, 0.25 * rotor.ringing, np.array([1, 0.5, 0.6, 0.3]))


def _leak(_rotor: Rotor, turns: Signal, random: Generator) -> Signal:
    """The hiss of a valve that does not close."""
    return np.diff(random.standard_normal(len(turns)), prepend=0)


_SOUNDS = {"bearing": _bearing, "rattle": _rattle, "slip": _squeal, "leak": _leak}


def _bursts(size: int, random: Generator) -> Signal:
    """When a belt slips: 0 to 1 in smooth bursts, a third of the time."""
    points = 2 + 3 * size // RATE
    level = np.interp(np.linspace(0, points - 1, size), np.arange(points), random.normal(0, 1, points))
    return np.clip(4 * (level - np.quantile(level, 0.66)), 0, 1)
