"""A small corpus of machines in the layout of DCASE 2020 Task 2, synthesised from their mechanics."""

from collections.abc import Iterator, Mapping
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import soundfile

from datamodules.demo.rotors import FAULTS, RATE, Kind, Rotor, record
from datamodules.files import new_folder

DEMO_ROOT = "data/demo/DCASE2020"
KINDS: Mapping[str, Kind] = {
    "fan": Kind(rotation=(18, 32), blades=(4, 9), flow=1.0),
    "pump": Kind(rotation=(24, 49), blades=(5, 8), flow=0.5),
    "valve": Kind(rotation=(40, 60), blades=(2, 4), flow=0.5, strokes=(1.5, 4)),
    "ToyCar": Kind(rotation=(60, 110), blades=(9, 14), flow=0.4, desk=True),
}
DEVELOPMENT = {
    "fan": ("id_00", "id_02", "id_04"),
    "pump": ("id_00", "id_02"),
    "valve": ("id_00", "id_02"),
    "ToyCar": ("id_01", "id_02"),
}
ADDITIONAL = {"fan": ("id_01",)}
_LONGER = {"ToyCar": 1.1}
_LEVEL_DB, _LEVEL_SPREAD_DB = -30.0, 3.0


def make_demo(
    folder: str | Path, *, seed: int = 0, seconds: float = 10.0, num_train: int = 20, num_test: int = 10
) -> None:
    """Write the corpus: by default 380 clips of 10 s (ToyCar 11 s), 124 MB.

    Development machines have normal training clips and both kinds of test clips; one fan more has additional
    training clips in ``eval_data``.

    Args:
        folder: Where to write; appears at once when complete.
        seed: The same one gives the same corpus.
        seconds: Length of a clip.
        num_train: Training clips an instance.
        num_test: Test clips an instance, that many normal and that many anomalous.
    """
    with new_folder(folder) as root:
        for number, (machine, kind) in enumerate(KINDS.items()):
            for id_ in DEVELOPMENT[machine] + ADDITIONAL.get(machine, ()):
                place = int(id_[3:])
                rotor = Rotor.draw(kind, np.random.default_rng([seed, number, place]))
                data = root / ("dev_data" if id_ in DEVELOPMENT[machine] else "eval_data") / machine
                for name, fault in _clips(id_, num_train, num_test if id_ in DEVELOPMENT[machine] else 0):
                    random = np.random.default_rng([seed, number, place, *name.encode()])
                    sound = record(rotor, seconds * _LONGER.get(machine, 1.0), random, fault=fault)
                    _write(data / name, sound, random.uniform(-_LEVEL_SPREAD_DB, _LEVEL_SPREAD_DB))


def _clips(id_: str, num_train: int, num_test: int) -> Iterator[tuple[str, str | None]]:
    """Names below the machine's folder, and what is broken."""
    for i in range(num_train):
        yield f"train/normal_{id_}_{i:08d}.wav", None
    for i in range(num_test):
        yield f"test/normal_{id_}_{i:08d}.wav", None
    for i, fault in enumerate(islice(cycle(FAULTS), num_test)):
        yield f"test/anomaly_{id_}_{i:08d}.wav", fault


def _write(path: Path, sound: np.ndarray, level_db: float) -> None:
    """A level that says nothing about the class, in 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = sound * 10 ** ((_LEVEL_DB + level_db) / 20)
    soundfile.write(path, np.clip(sound, -0.999, 0.999), RATE, subtype="PCM_16")
