"""A small corpus of machines in the layout of DCASE 2020 Task 2, synthesised from their mechanics."""

from collections.abc import Iterator, Mapping
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from numpy.random import Generator

from datamodules.demo.rotors import RATE, Kind, Rotor, record
from datamodules.demo.signals import write_sound
from datamodules.files import new_folder

DEMO_ROOT = "data/demo/DCASE2020"
KINDS: Mapping[str, Kind] = {
    "fan": Kind(rotation=(18, 32), blades=(4, 9), flow=1.0),
    "pump": Kind(rotation=(24, 49), blades=(5, 8), flow=0.5),
    "valve": Kind(rotation=(40, 60), blades=(2, 4), flow=0.5, strokes=(1.5, 4), faults=("leak", "rattle")),
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
        for number, machine in enumerate(KINDS):
            for part, ids, num in (("dev_data", DEVELOPMENT, num_test), ("eval_data", ADDITIONAL, 0)):
                for id_ in ids.get(machine, ()):
                    _write_instance(root / part / machine, id_, (seed, number), num_train, num, seconds)


def _write_instance(
    folder: Path, id_: str, seed: tuple[int, int], num_train: int, num_test: int, seconds: float
) -> None:
    kind, place = KINDS[folder.name], (*seed, int(id_[3:]))
    rotor = Rotor.draw(kind, np.random.default_rng(place))
    for name, number, fault in _clips(id_, kind, num_train, num_test):
        random = np.random.default_rng([*place, *name.encode()])
        sound = record(rotor, seconds * _LONGER.get(folder.name, 1.0), random, fault=fault)
        _write(folder / name, sound, np.random.default_rng([*place, number]))


def _clips(id_: str, kind: Kind, num_train: int, num_test: int) -> Iterator[tuple[str, int, str | None]]:
    """Name below the machine's folder, number from 1, and what is broken."""
    for i in range(num_train):
        yield f"train/normal_{id_}_{i:08d}.wav", 1 + i, None
    for i, fault in enumerate(islice(cycle(kind.faults), num_test)):
        yield f"test/normal_{id_}_{i:08d}.wav", 1 + i, None
        yield f"test/anomaly_{id_}_{i:08d}.wav", 1 + i, fault


def _write(path: Path, sound: np.ndarray, level: Generator) -> None:
    """In 16 bits, at a level that a normal and an anomalous clip of the same number share."""
    level_db = _LEVEL_DB + level.uniform(-_LEVEL_SPREAD_DB, _LEVEL_SPREAD_DB)
    write_sound(path, np.clip(sound * 10 ** (level_db / 20), -0.999, 0.999), RATE)
