"""Rooms: impulse responses of files, as those of RIRS_NOISES, or of simulated rooms with a reverberation time."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.random import Generator
from scipy.signal import oaconvolve

from datamodules.audio.reading import read
from datamodules.audio.resampling import resample
from datamodules.cache import cache_entry
from datamodules.degradation.signals import Signal, power, within_range
from datamodules.files import write_bytes_atomically

RT60_S = (0.15, 1.5)
"""Shortest and longest reverberation time that is simulated."""

NUM_ROOMS = (
    8  # of a reverberation time, rounded up to 0.1 s; the decay of each is then made the one asked for
)
_VERSION = 1
_SIDES_M = ((4.0, 6.0), (3.0, 5.0), (2.5, 3.2))  # of a room of 0.4 s; they grow with the root of the time
_DISTANCE_M = (0.5, 2.0)
_FROM_WALLS_M = 0.5
_DECAY_DB = 30  # of which the reverberation time is measured


@dataclass(frozen=True)
class SimulatedRoom:
    """A shoe box, in which sound decays by 60 dB in some time, and a speaker 0.5 to 2 m before a microphone.

    Args:
        rt60_s: Shortest and longest reverberation time, between which it is drawn evenly.

    Raises:
        ValueError: A time is too short or too long to be simulated.
    """

    rt60_s: tuple[float, float]

    def __post_init__(self) -> None:
        shortest, longest = RT60_S
        for time in self.rt60_s:
            if not shortest <= time <= longest:
                raise ValueError(f"no room of {time:g} s: choose a time from {shortest:g} to {longest:g} s")

    def __call__(self, waveform: Signal, sample_rate: int, random: Generator) -> Signal:
        """(channel, time) -> the same in a room, as loud as before."""
        rt60_s = random.uniform(*self.rt60_s)
        return reverberate(waveform, self.response(rt60_s, int(random.integers(NUM_ROOMS)), sample_rate))

    @staticmethod
    def response(rt60_s: float, number: int, sample_rate: int) -> Signal:
        """Impulse response (time,) of a room, which begins with the direct path."""
        response, found_s = _simulated(int(np.ceil(rt60_s * 10 - 1e-9)), number, sample_rate)
        time = np.arange(len(response)) / sample_rate
        return response * np.exp(np.log(1e3) * (1 / found_s - 1 / rt60_s) * time).astype(np.float32)


@dataclass(frozen=True)
class RecordedRoom:
    """Impulse responses of files, of each its first channel.

    Args:
        files: One of which is drawn.
    """

    files: Sequence[Path]

    def __call__(self, waveform: Signal, sample_rate: int, random: Generator) -> Signal:
        """(channel, time) -> the same in a room, as loud as before."""
        return reverberate(
            waveform, _recorded(self.files[int(random.integers(len(self.files)))], sample_rate)
        )


def reverberate(waveform: Signal, response: Signal) -> Signal:
    """What is heard of (channel, time) in a room whose response (time,) begins with the direct path.

    It is as loud and as long as before, and as late; what rings on behind the end is cut.
    """
    heard = oaconvolve(waveform, response[None], axes=1)[:, : waveform.shape[1]].astype(np.float32)
    if (loudness := power(heard)) == 0:
        return waveform
    return within_range(heard * np.float32(np.sqrt(power(waveform) / loudness)))


def _from_direct_path(response: Signal) -> Signal:
    """The response from its highest peak on: the direct path, unless something stands in its way."""
    return response[np.abs(response).argmax() :]


@lru_cache(maxsize=1024)
def _recorded(path: Path, sample_rate: int) -> Signal:
    samples, rate = read(path)
    response = _from_direct_path(resample(samples[0], rate, sample_rate, "soxr_hq").numpy())
    if not response[0]:
        raise ValueError(f"{path}: silent: take it out of the folder of impulse responses")
    return response


@lru_cache(maxsize=256)
def _simulated(tenths: int, number: int, sample_rate: int) -> tuple[Signal, float]:
    """A room's response from its direct path on, and its reverberation time as measured; kept in the cache folder."""
    entry = cache_entry("rooms", _VERSION, tenths, number, sample_rate, suffix=".npz")
    try:
        with np.load(entry) as kept:
            return kept["response"], float(kept["rt60_s"])
    except (OSError, ValueError, KeyError, BadZipFile):  # not there, or damaged
        found = _image_sources(tenths / 10, number, sample_rate)
        file = io.BytesIO()
        np.savez(file, response=found[0], rt60_s=found[1])
        with contextlib.suppress(OSError):  # what cannot be kept is simulated by each process
            write_bytes_atomically(entry, file.getvalue())
        return found


def _image_sources(rt60_s: float, number: int, sample_rate: int) -> tuple[Signal, float]:
    """By the image-source method (Allen and Berkley, JASA 65, 1979), with Sabine's formula for the walls."""
    import pyroomacoustics  # seconds to import

    random = np.random.default_rng([number, round(rt60_s * 1000)])
    sides = random.uniform(*np.transpose(_SIDES_M)) * np.sqrt(max(rt60_s, 0.2) / 0.4)
    speaker = random.uniform(_FROM_WALLS_M, sides - _FROM_WALLS_M)
    while True:  # until the microphone is in the room
        direction = random.standard_normal(3)
        distance = random.uniform(*_DISTANCE_M)
        microphone = speaker + direction * (distance / np.linalg.norm(direction))
        if ((microphone > _FROM_WALLS_M) & (microphone < sides - _FROM_WALLS_M)).all():
            break
    absorption, order = pyroomacoustics.inverse_sabine(rt60_s, sides)
    room = pyroomacoustics.ShoeBox(
        sides, fs=sample_rate, materials=pyroomacoustics.Material(absorption), max_order=order
    )
    room.add_source(speaker)
    room.add_microphone(microphone)
    room.compute_rir()
    assert room.rir is not None
    direct = round(distance / room.c * sample_rate) + pyroomacoustics.constants.get("frac_delay_length") // 2
    response = np.asarray(room.rir[0][0][direct:], np.float32)
    return response, float(pyroomacoustics.measure_rt60(response, sample_rate, decay_db=_DECAY_DB))
