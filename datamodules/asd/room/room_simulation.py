"""What is recorded in a simulated room: machines by themselves, and with a sweep over them at an exact SNR."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from datamodules.asd.room.joined_clips import segments
from datamodules.asd.room.room_acoustics import RATE, SWEEP_CYCLE_S, Signal, reverberate, rms, sweep
from datamodules.clips import Clip


@dataclass(frozen=True)
class Simulation:
    """What decides the sound of a corpus; the attributes are those of `datamodules.SimulatedRoom`."""

    machine_root: str
    reverberation_time_s: float
    num_microphones: int
    snr_db: list[float]
    num_train: int
    num_normal: int
    num_abnormal: int
    segment_s: float
    simulation_seed: int

    def __post_init__(self) -> None:
        for name in ("num_train", "num_normal", "num_abnormal"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: choose at least 1 segment")
        if self.simulation_seed < 0:
            raise ValueError(f"simulation_seed {self.simulation_seed}: choose 0 or more")
        if not self.segment_s * RATE >= 1:
            raise ValueError(f"segment_s {self.segment_s}: choose a length of one sample or more")
        if not self.snr_db or len(set(self.snr_db)) < len(self.snr_db):
            raise ValueError(f"snr_db {self.snr_db}: choose one or more levels in dB, each once")

    @property
    def num_samples(self) -> int:
        """Length of a segment."""
        return round(self.segment_s * RATE)

    def random(self, *names: str) -> Generator:
        """Random numbers that the seed and the names alone decide."""
        return np.random.default_rng([self.simulation_seed, *"/".join(names).encode()])


class Instance(NamedTuple):
    """A machine of the corpus, and the normal clips that its training and its test segments are made of."""

    machine: str
    id: str
    train: Sequence[Clip]
    test: Sequence[Clip]

    @property
    def name(self) -> str:
        """``<machine>/<id>``."""
        return f"{self.machine}/{self.id}"


class Recording(NamedTuple):
    """One segment at the microphones.

    Attributes:
        stem: Its file's name below the machine's folder, without ending.
        snr_db: Of the sweep over the machine; None is a normal segment.
        sound: (microphone, time).
        clips: Names of those that the machine's sound is made of.
        sweep: (microphone, time), the sweep's part of an anomalous `sound`.
    """

    stem: str
    snr_db: float | None
    sound: Signal
    clips: Sequence[str]
    sweep: Signal | None = None


def recordings(
    simulation: Simulation, instance: Instance, responses: Signal, loudspeaker: Signal
) -> Iterator[Recording]:
    """Yield an instance's segments: training, normal, then each anomalous one at every SNR.

    Args:
        simulation: How many, how long and how loud.
        instance: The machine.
        responses: Impulse responses (microphone, time) from its place.
        loudspeaker: Impulse responses (microphone, time) from the loudspeaker's.
    """
    num_samples, id_ = simulation.num_samples, instance.id
    for part, clips, num_normal, num_abnormal in (
        ("train", instance.train, simulation.num_train, 0),
        ("test", instance.test, simulation.num_normal, simulation.num_abnormal),
    ):
        random = simulation.random(instance.name, part)
        drawn = segments(clips, num_samples, random)
        for number in range(num_normal):
            segment, names = next(drawn)
            yield Recording(f"{part}/normal_{id_}_{number:08d}", None, _in_room(segment, responses), names)
        for number in range(num_abnormal):
            segment, names = next(drawn)
            sound = _in_room(segment, responses)
            start_s = random.uniform(0, SWEEP_CYCLE_S)
            swept = reverberate(sweep(num_samples + loudspeaker.shape[1] - 1, start_s=start_s), loudspeaker)
            swept *= rms(sound) / rms(swept)
            for snr_db in simulation.snr_db:
                gain = 10 ** (snr_db / 20)
                stem = f"{part}/anomaly_{id_}_{number:08d}_snr{snr_db:+03g}"
                yield Recording(stem, snr_db, sound + gain * swept, names, gain * swept)


def _in_room(segment: Signal, responses: Signal) -> Signal:
    """A segment at the microphones, as if the machine had been running: its mirrored beginning comes before it."""
    return reverberate(np.pad(segment, (responses.shape[1] - 1, 0), "reflect"), responses)
