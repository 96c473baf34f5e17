"""Write the corpus of a simulated room: machines by themselves, and with a sweep from a loudspeaker over them.

    <root>/settings.json                                    what it was made of, and what was measured
    <root>/manifest.csv                                     a row a file, see `COLUMNS`
    <root>/fan/train/normal_id_00_00000000.wav
    <root>/fan/test/normal_id_00_00000000.wav
    <root>/fan/test/anomaly_id_00_00000000_snr-05.wav
    <root>/fan/references/anomaly_id_00_00000000_snr-05.wav   the sweep alone, if wanted

Files are 16-bit WAV of 16 kHz with a channel a microphone; all of an instance have one scale.
"""

import csv
import io
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.random import Generator

from datamodules.clips import Clip
from datamodules.dcase_layouts import Layout
from datamodules.files import new_folder, write_text_atomically
from datamodules.joined_clips import segments
from datamodules.room_acoustics import (
    RATE,
    SWEEP_CYCLE_S,
    Room,
    Signal,
    place,
    reverberate,
    reverberation_time,
    rms,
    sweep,
)

Row = tuple[str, ...]
Measured = dict[str, Any]

COLUMNS = ("file", "machine", "id", "kind", "snr_db", "level_db", "clips")
"""Of the manifest: level in dB of full scale; names of the clips that a segment begins with and goes on with."""

_LOUDSPEAKER_M = (1.0, 1.0)  # ranges of distances from the array
_MACHINE_M = (1.5, 2.1)
_MACHINE_ELEVATION = np.pi / 12
_PEAK = 0.9  # of the loudest sample of an instance


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


class _Instance(NamedTuple):
    """A machine of the corpus, and the normal clips that its training and its test segments are made of."""

    machine: str
    id: str
    train: Sequence[Clip]
    test: Sequence[Clip]

    @property
    def name(self) -> str:
        """``<machine>/<id>``."""
        return f"{self.machine}/{self.id}"


class _Recording(NamedTuple):
    """One file to write: its name below the machine's folder without ending, and of anomalies the sweep's part."""

    stem: str
    snr_db: float | None
    sound: Signal
    clips: Sequence[str]
    swept: Signal | None = None


def write_corpus(
    folder: str | Path, simulation: Simulation, *, machines: Sequence[str] | None, references: bool
) -> None:
    """Simulate all instances of the machines; the folder appears at once when complete.

    Args:
        folder: Where to write.
        simulation: What to write.
        machines: Which ones; None is all of the machines' folder.
        references: Also write the sweep of every anomalous clip.

    Raises:
        ValueError: If the room is impossible, or a machine has no training or no normal test clips.
    """
    material = _material(Path(simulation.machine_root), machines)
    room = Room(simulation.reverberation_time_s, simulation.num_microphones)
    loudspeaker_m = place(simulation.random("loudspeaker"), distance_m=_LOUDSPEAKER_M)
    loudspeaker = room.responses(loudspeaker_m)
    with new_folder(folder) as root, ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:

        def write(instance: _Instance) -> tuple[list[Row], Measured]:
            return _write_instance(root, simulation, instance, room, loudspeaker, references=references)

        written = list(pool.map(write, material))  # transforms and files work outside the interpreter's lock
        _write_manifest(root / "manifest.csv", [row for rows, _ in written for row in rows])
        settings = asdict(simulation) | {
            "machines": sorted({instance.machine for instance in material}),
            "references": references,
            "loudspeaker": _describe(loudspeaker_m, loudspeaker),
            "instances": {
                instance.name: measured for instance, (_, measured) in zip(material, written, strict=True)
            },
        }
        write_text_atomically(root / "settings.json", json.dumps(settings, indent=2) + "\n")


def _write_instance(
    root: Path,
    simulation: Simulation,
    instance: _Instance,
    room: Room,
    loudspeaker: Signal,
    *,
    references: bool,
) -> tuple[list[Row], Measured]:
    """Write the files of an instance; returns their rows of the manifest, and what was measured."""
    position_m = place(
        simulation.random(instance.name, "place"), distance_m=_MACHINE_M, elevation=_MACHINE_ELEVATION
    )
    responses = room.responses(position_m)
    recordings = partial(_recordings, simulation, instance, responses, loudspeaker)
    # made twice rather than kept: those of an instance of the paper's size take most of a gigabyte
    scale = _PEAK / max(np.abs(recording.sound).max() for recording in recordings())
    rows = []
    for recording in recordings():
        _write(root / instance.machine, recording, scale, references=references)
        rows.append(_row(instance, recording, scale))
    return rows, _describe(position_m, responses) | {"scale": scale}


def _material(root: Path, machines: Sequence[str] | None) -> list[_Instance]:
    """Instances of the machines with their normal clips."""
    layout = Layout(2020, root)
    found = layout.machines("dev")
    if not found:
        raise ValueError(
            f"machine_root {root}: no machines in it: name a folder in the layout of DCASE 2020, with"
            " <machine>/train and <machine>/test"
        )
    instances = []
    for machine in machines or found:
        train, test = (_normals(layout.clips("dev", machine, part)) for part in ("train", "test"))
        if not train:
            raise ValueError(
                f"machines: no training clips of {machine} in machine_root {root}: choose of"
                f" {', '.join(found)}"
            )
        for id_, clips in train.items():
            if id_ not in test:
                raise ValueError(
                    f"{root}/{machine}: no normal test clips of {id_}: restore them, or leave the machine out by"
                    " machines"
                )
            instances.append(_Instance(machine, id_, clips, test[id_]))
    return instances


def _normals(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    """Normal clips by id."""
    by_id: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if clip.target == 0:
            by_id[clip.attributes["section"]].append(clip)
    return by_id


def _recordings(
    simulation: Simulation, instance: _Instance, responses: Signal, loudspeaker: Signal
) -> Iterator[_Recording]:
    """Segments at the microphones: training, normal, then each anomalous one at every SNR."""
    num_samples, id_ = simulation.num_samples, instance.id
    for part, clips, num_normal, num_abnormal in (
        ("train", instance.train, simulation.num_train, 0),
        ("test", instance.test, simulation.num_normal, simulation.num_abnormal),
    ):
        random = simulation.random(instance.name, part)
        drawn = segments(clips, num_samples, random)
        for number in range(num_normal):
            segment, names = next(drawn)
            yield _Recording(f"{part}/normal_{id_}_{number:08d}", None, _in_room(segment, responses), names)
        for number in range(num_abnormal):
            segment, names = next(drawn)
            sound = _in_room(segment, responses)
            start_s = random.uniform(0, SWEEP_CYCLE_S)
            swept = reverberate(sweep(num_samples + loudspeaker.shape[1] - 1, start_s=start_s), loudspeaker)
            swept *= rms(sound) / rms(swept)
            for snr_db in simulation.snr_db:
                gain = 10 ** (snr_db / 20)
                stem = f"{part}/anomaly_{id_}_{number:08d}_snr{snr_db:+03g}"
                yield _Recording(stem, snr_db, sound + gain * swept, names, gain * swept)


def _in_room(segment: Signal, responses: Signal) -> Signal:
    """A segment at the microphones, as if the machine had been running: its mirrored beginning comes before it."""
    return reverberate(np.pad(segment, (responses.shape[1] - 1, 0), "reflect"), responses)


def _write(folder: Path, recording: _Recording, scale: float, *, references: bool) -> None:
    """Write a recording and, if wanted, the sweep in it."""
    signals = {folder / recording.stem: recording.sound}
    if references and recording.swept is not None:
        signals[folder / "references" / Path(recording.stem).name] = recording.swept
    for path, signal in signals.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(f"{path}.wav", (signal * scale).T, RATE, subtype="PCM_16")


def _row(instance: _Instance, recording: _Recording, scale: float) -> Row:
    """Of the manifest, see `COLUMNS`."""
    kind, snr = ("normal", "") if recording.snr_db is None else ("anomaly", f"{recording.snr_db:g}")
    level_db = f"{20 * np.log10(scale * rms(recording.sound)):.2f}"
    file = f"{instance.machine}/{recording.stem}.wav"
    return file, instance.machine, instance.id, kind, snr, level_db, " ".join(recording.clips)


def _describe(position_m: Sequence[float], responses: Signal) -> Measured:
    position = [round(axis, 3) for axis in position_m]
    return {"position_m": position, "reverberation_time_s": round(reverberation_time(responses), 3)}


def _write_manifest(path: Path, rows: Sequence[Row]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(rows)
    write_text_atomically(path, text.getvalue())
