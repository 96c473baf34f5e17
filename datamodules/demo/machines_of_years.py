"""Small corpora of machines in the layouts of DCASE Task 2 of 2021 and later, synthesised from their mechanics.

Source and target domain differ in speed. Of 2026 the first channel stands near the machine, and the second far from it,
where the machine is 12 dB softer and the noise of the place, which both hear, 10 dB louder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from numpy.fft import irfft, rfft, rfftfreq

from datamodules.demo.machines import KINDS
from datamodules.demo.rotors import RATE, Kind, Rotor, record
from datamodules.demo.signals import Signal, unit_rms, write_sound
from datamodules.files import new_folder, write_text_atomically

YEARS = range(2021, 2027)
_PER_SECTION = ("fan", "valve", "ToyCar"), ("fan", "valve", "ToyCar")
_MACHINES: Mapping[int, tuple[Sequence[str], Sequence[str]]] = {  # of development and of evaluation
    2021: _PER_SECTION,
    2022: _PER_SECTION,
    2023: (("fan", "valve", "ToyCar"), ("Vacuum", "ToyDrone")),
    2024: (("fan", "valve", "ToyCar"), ("Scanner", "ToyCircuit")),
    2025: (("fan", "valve", "ToyCar"), ("Polisher", "ToyPet")),
    2026: (("fan", "valveEmu", "ToyCar"), ("Sander", "ToyDrone")),
}
_KINDS: Mapping[str, str] = {
    "valveEmu": "valve",
    "Vacuum": "fan",
    "Scanner": "valve",
    "Polisher": "pump",
    "Sander": "pump",
}
_SPEEDS = {"source": {"1": 1.0, "2": 1.06}, "target": {"3": 1.15}}  # attribute spd -> relative speed
_HIDES = range(2024, 2027)
"""Years that tell nothing of valves."""

_LEVEL, _FAR_DB, _NOISE_DB = 10 ** (-30 / 20), -12.0, -10.0


@dataclass(frozen=True)
class _Place:
    """A machine's folder, and what its clips are made of."""

    year: int
    folder: Path
    section: str
    number: int
    seed: int
    seconds: float

    @property
    def machine(self) -> str:
        return self.folder.name

    @property
    def kind(self) -> Kind:
        name = _KINDS.get(self.machine, self.machine)
        return KINDS[name if name in KINDS else "ToyCar"]

    @property
    def hides(self) -> bool:
        return self.year in _HIDES and "valve" in _KINDS.get(self.machine, self.machine).lower()

    def condition(self, domain: str, number: int) -> tuple[str, float]:
        """Attributes of clip `number` of a domain, and its speed."""
        speeds = _SPEEDS[domain]
        speed = sorted(speeds)[number % len(speeds)]
        return f"spd_{speed}_mic_1_mic_2" if self.machine == "ToyCar" else f"spd_{speed}", speeds[speed]

    def write(self, name: str, *, speed: float = 1.0, fault: str | None = None, clean: bool = False) -> None:
        """A clip; its name decides what is drawn."""
        place = [self.seed, self.number, int(self.section[-2:])]
        rotor = Rotor.draw(self.kind, np.random.default_rng(place))
        random = np.random.default_rng([*place, *name.encode()])
        rotor = replace(rotor, rotation=rotor.rotation * speed)
        sound = record(rotor, self.seconds, random, fault=fault)
        noise = np.zeros_like(sound) if clean else _noise(len(sound), random)
        near, far = sound + 10 ** (_NOISE_DB / 20) * noise, 10 ** (_FAR_DB / 20) * sound + noise
        channels = np.stack([near, far], axis=1) if self.year >= 2026 else near
        write_sound(self.folder / name, np.clip(_LEVEL * channels, -0.999, 0.999), RATE)


def make_demo_of(
    year: int,
    folder: str | Path,
    *,
    seed: int = 0,
    seconds: float = 6.0,
    num_train: int = 36,
    num_test: int = 5,
) -> None:
    """Write the corpus of a year: of 2026 280 clips of 6 s with two channels, 108 MB.

    ``dev_data/raw`` has machines with training clips and labelled test clips, ``eval_data/raw`` others (up to 2022
    other sections) whose test clips do not tell; ``eval_data_list_<year>.csv`` beside them does, as the organisers'.

    Args:
        year: One of `YEARS`.
        folder: Where to write; appears at once when complete.
        seed: The same one gives the same corpus.
        seconds: Length of a clip.
        num_train: Normal training clips a machine, a ninth of them of the target domain.
        num_test: Test clips a machine, domain and label.
    """
    with new_folder(folder) as root:
        truth: list[str] = []
        for number, (subset, machine) in enumerate(
            (subset, machine)
            for subset, machines in zip(("dev", "eval"), _MACHINES[year], strict=True)
            for machine in machines
        ):
            section = "section_03" if subset == "eval" and year < 2023 else "section_00"
            place = _Place(year, root / f"{subset}_data" / "raw" / machine, section, number, seed, seconds)
            _write_train(place, num_train)
            pairs = _write_test(place, num_test, blind=subset == "eval")
            truth += [f"{machine}\n", *(f"{name},{true}\n" for name, true in pairs)] if pairs else []
        write_text_atomically(root / f"eval_data_list_{year}.csv", "".join(truth))


def _write_train(place: _Place, num_train: int) -> None:
    lines, hidden = [], []
    num_target = max(num_train // 9, 2)
    for domain, count in (("source", num_train - num_target), ("target", num_target)):
        for number in range(count):
            condition, speed = place.condition(domain, number)
            stem = f"{place.section}_{domain}_train_normal_{number:04d}"
            name = f"{stem}_{'noAttribute' if place.hides else condition}.wav"
            place.write(f"train/{name}", speed=speed)
            if place.hides:
                hidden.append(f"{stem}_{condition}.wav,{name}\n")
            lines.append(
                f"{place.machine}/train/{name},{'noAttribute,' if place.hides else condition.replace('_', ',')}\n"
            )
    columns = ",".join(f"d{i}p,d{i}v" for i in range(1, 4 if place.machine == "ToyCar" else 2))
    write_text_atomically(place.folder / "attributes_00.csv", f"file_name,{columns}\n" + "".join(lines))
    if hidden and place.year < 2026:  # whose are not known yet
        head = "source_file_name,target_file_name\n"
        write_text_atomically(place.folder / "attributes_00_train_correspondence.csv", head + "".join(hidden))
    if place.year == 2025:
        for number in range(1, 5):
            place.write(f"supplemental/{place.section}_machine_{number:04d}_.wav", clean=True)


def _write_test(place: _Place, num_test: int, *, blind: bool) -> list[tuple[str, str]]:
    """Test clips; of blind ones the published and the true names."""
    clips = [
        (domain, label, number)
        for domain in ("source", "target")
        for label in ("normal", "anomaly")
        for number in range(num_test)
    ]
    faults = list(islice(cycle(place.kind.faults), num_test))
    order = np.random.default_rng([place.seed, place.number]).permutation(len(clips)).tolist()
    pairs = []
    for (domain, label, number), position in zip(clips, order, strict=True):
        condition, speed = place.condition(domain, number)
        true = f"{place.section}_{domain}_test_{label}_{number:04d}_{'noAttribute' if place.hides else condition}.wav"
        known = f"_{domain}_test" if place.year == 2021 else ""
        name = f"{place.section}{known}_{position:04d}.wav" if blind else true
        test = f"{domain}_test" if place.year == 2021 else "test"
        place.write(f"{test}/{name}", speed=speed, fault=faults[number] if label == "anomaly" else None)
        pairs.append((name, true))
    return sorted(pairs) if blind else []


def _noise(size: int, random: np.random.Generator) -> Signal:
    """Noise of the place with RMS 1, softer towards high frequencies."""
    colour = np.maximum(rfftfreq(size, 1 / RATE), 40) ** -0.5
    return unit_rms(irfft(rfft(random.standard_normal(size)) * colour, size))
