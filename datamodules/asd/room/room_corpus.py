"""Write the corpus of a simulated room: machines by themselves, and with a sweep from a loudspeaker over them.

    <root>/settings.json                                    what it was made of, and what was measured
    <root>/manifest.csv                                     a row a file, see `COLUMNS`
    <root>/fan/train/normal_id_00_00000000.wav
    <root>/fan/test/normal_id_00_00000000.wav
    <root>/fan/test/anomaly_id_00_00000000_snr-05.wav
    <root>/fan/references/anomaly_id_00_00000000_snr-05.wav   the sweep alone, if wanted

Files are 16-bit WAV of 16 kHz with a channel a microphone; all of an instance have one scale.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from datamodules.asd.dcase_layouts import Layout
from datamodules.asd.room.room_acoustics import RATE, Room, Signal, place, reverberation_time, rms
from datamodules.asd.room.room_simulation import Instance, Recording, Simulation, recordings
from datamodules.clips import Clip
from datamodules.cpus import allowed_cpus
from datamodules.files import new_folder, write_csv, write_text_atomically

Entry = tuple[str, ...]
"""Of the manifest, see `COLUMNS`."""

Measured = dict[str, Any]

COLUMNS = ("file", "machine", "id", "kind", "snr_db", "level_db", "clips")
"""Of the manifest: level in dB of full scale; names of the clips that a segment begins with and goes on with."""

_LOUDSPEAKER_M = (1.0, 1.0)  # ranges of distances from the array
_MACHINE_M = (1.5, 2.1)
_MACHINE_ELEVATION = np.pi / 12
_PEAK = 0.9  # of the loudest sample of an instance


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
    with new_folder(folder) as root, ThreadPoolExecutor(allowed_cpus()) as pool:

        def write(instance: Instance) -> tuple[list[Entry], Measured]:
            return _write_instance(root, simulation, instance, room, loudspeaker, references=references)

        written = list(pool.map(write, material))  # transforms and files work outside the interpreter's lock
        write_csv(root / "manifest.csv", [COLUMNS, *(entry for entries, _ in written for entry in entries)])
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
    instance: Instance,
    room: Room,
    loudspeaker: Signal,
    *,
    references: bool,
) -> tuple[list[Entry], Measured]:
    """Write the files of an instance; returns their entries in the manifest, and what was measured."""
    position_m = place(
        simulation.random(instance.name, "place"), distance_m=_MACHINE_M, elevation=_MACHINE_ELEVATION
    )
    responses = room.responses(position_m)
    simulated = partial(recordings, simulation, instance, responses, loudspeaker)
    # made twice rather than kept: those of an instance of the paper's size take most of a gigabyte
    scale = _PEAK / max(np.abs(recording.sound).max() for recording in simulated())
    entries = []
    for recording in simulated():
        _write(root / instance.machine, recording, scale, references=references)
        entries.append(_entry(instance, recording, scale))
    return entries, _describe(position_m, responses) | {"scale": scale}


def _material(root: Path, machines: Sequence[str] | None) -> list[Instance]:
    """Instances of the machines with their normal clips."""
    layout = Layout(2020, root)
    found = layout.machines("dev")
    if not found:
        raise ValueError(
            f"machine_root {root}: no machines in it: name a folder in the layout of DCASE 2020, with"
            " <machine>/train and <machine>/test"
        )
    instances = []
    for machine in dict.fromkeys(machines or found):
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
            instances.append(Instance(machine, id_, clips, test[id_]))
    return instances


def _normals(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    """Normal clips by id."""
    by_id: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if clip.target == 0:
            by_id[clip.attributes["section"]].append(clip)
    return by_id


def _write(folder: Path, recording: Recording, scale: float, *, references: bool) -> None:
    """Write a recording and, if wanted, the sweep in it."""
    signals = {folder / recording.stem: recording.sound}
    if references and recording.sweep is not None:
        signals[folder / "references" / Path(recording.stem).name] = recording.sweep
    for path, signal in signals.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(f"{path}.wav", (signal * scale).T, RATE, subtype="PCM_16")


def _entry(instance: Instance, recording: Recording, scale: float) -> Entry:
    kind, snr = ("normal", "") if recording.snr_db is None else ("anomaly", f"{recording.snr_db:g}")
    level_db = f"{20 * np.log10(scale * rms(recording.sound)):.2f}"
    file = f"{instance.machine}/{recording.stem}.wav"
    return file, instance.machine, instance.id, kind, snr, level_db, " ".join(recording.clips)


def _describe(position_m: Sequence[float], responses: Signal) -> Measured:
    position = [round(axis, 3) for axis in position_m]
    return {"position_m": position, "reverberation_time_s": round(reverberation_time(responses), 3)}
