"""A machine, a loudspeaker and a circular microphone array in a simulated room.

The room is a shoe box by the image-source method (Allen and Berkley, Image Method for Efficiently Simulating
Small-Room Acoustics, JASA 65, 1979); the array, the loudspeaker and its sweep are those of Kawaguchi et al., Anomaly
Detection Based on an Ensemble of Dereverberation and Anomalous Sound Extraction, ICASSP 2019, section 4.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import chirp, oaconvolve

Signal = NDArray[np.float64]
Position = tuple[float, float, float]

RATE = 16000
ROOM_M = (6.0, 5.0, 3.0)
SWEEP_HZ = (300.0, 7000.0)
SWEEP_CYCLE_S = 3.0
_ARRAY_M = np.array([2.9, 2.4, 1.2])  # off the room's middle, where modes would be alike
_RADIUS_M = 0.034
_DECAY_DB = 30  # of the part of the decay that the reverberation time is measured on


@dataclass(frozen=True)
class Room:
    """A room of 6 x 5 x 3 m with a circular array of 3.4 cm radius.

    Attributes:
        reverberation_time_s: Time in which sound decays by 60 dB, from which Sabine's formula gives the walls'
            absorption. The images, and the time to compute them, grow with its cube.
        num_microphones: On the circle.

    Raises:
        ValueError: If no walls make the room that dry, or there is no microphone.
    """

    reverberation_time_s: float
    num_microphones: int

    def __post_init__(self) -> None:
        from pyroomacoustics import inverse_sabine  # seconds to import

        if self.num_microphones < 1:
            raise ValueError(f"num_microphones {self.num_microphones}: choose at least 1")
        shortest_s, _ = inverse_sabine(1.0, ROOM_M)  # absorption is that time over the reverberation time
        if not self.reverberation_time_s >= shortest_s:
            size = " x ".join(f"{side:g}" for side in ROOM_M)
            raise ValueError(
                f"reverberation_time_s {self.reverberation_time_s}: walls that absorb all sound give a room of"
                f" {size} m {shortest_s:.3f} s: choose a longer time"
            )

    @cached_property
    def microphones_m(self) -> Signal:
        """Positions (axis, microphone)."""
        from pyroomacoustics import circular_2D_array

        circle = circular_2D_array(_ARRAY_M[:2], self.num_microphones, 0, _RADIUS_M)
        return np.vstack([circle, np.full(self.num_microphones, _ARRAY_M[2])])

    def responses(self, source: Position) -> Signal:
        """Impulse responses (microphone, time) from a source to the array."""
        import pyroomacoustics

        absorption, order = pyroomacoustics.inverse_sabine(self.reverberation_time_s, ROOM_M)
        room = pyroomacoustics.ShoeBox(
            ROOM_M, fs=RATE, materials=pyroomacoustics.Material(absorption), max_order=order
        )
        room.add_source(source)
        room.add_microphone_array(self.microphones_m)
        room.compute_rir()
        assert room.rir is not None
        found = [of_microphone[0] for of_microphone in room.rir]
        longest = max(map(len, found))
        return np.stack([np.pad(response, (0, longest - len(response))) for response in found])


def place(random: Generator, *, distance_m: tuple[float, float], elevation: float = 0.0) -> Position:
    """Draw a position: anywhere around the array, at a distance in a range, at most `elevation` rad up or down."""
    azimuth, tilt = random.uniform(-np.pi, np.pi), random.uniform(-elevation, elevation)
    direction = np.array([np.cos(azimuth) * np.cos(tilt), np.sin(azimuth) * np.cos(tilt), np.sin(tilt)])
    x, y, z = (_ARRAY_M + random.uniform(*distance_m) * direction).tolist()
    return x, y, z


def reverberation_time(responses: Signal) -> float:
    """Reverberation time of responses (microphone, time) in s: of their first 30 dB of decay, averaged."""
    from pyroomacoustics import measure_rt60

    return float(np.mean([measure_rt60(response, RATE, decay_db=_DECAY_DB) for response in responses]))


def reverberate(source: Signal, responses: Signal) -> Signal:
    """Sound of a source (time,) at the microphones, (microphone, time - response + 1).

    The source's beginning, as long as a response, only rings on in it.
    """
    return oaconvolve(source[None], responses, mode="valid", axes=1)


def sweep(num_samples: int, *, start_s: float = 0.0) -> Signal:
    """The anomalous sound, (time,) in [-1, 1]: from 0.3 to 7 kHz in 3 s, linearly, again and again.

    A cycle is a whole number of turns, so that the phase has no jump.
    """
    low, high = SWEEP_HZ
    time_s = (start_s + np.arange(num_samples) / RATE) % SWEEP_CYCLE_S
    return chirp(time_s, f0=low, t1=SWEEP_CYCLE_S, f1=high, phi=-90)


def rms(signal: Signal) -> float:
    """Root mean square over channels and time."""
    return float(np.sqrt(np.mean(np.square(signal))))
