"""Labels and domains of the test clips of DCASE Task 2, as the organisers publish them."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lightning_modules.metrics.dcase_files import (
    as_flag,
    clip_key,
    contradiction,
    describe,
    parse_clip_name,
    parse_file_name,
    read_flags,
    read_rows,
)
from lightning_modules.metrics.text_columns import fail

# A list of the 2022 evaluation set that circulates gives these two clips the other label, and 606 more.
_WRONG_IN_2022 = {"ToyCar/section_03_0004": True, "ToyTrain/section_03_0001": True}


class Truth(NamedTuple):
    """The truth about one clip; `domain` is "" where it is unknown or there is none."""

    section: str
    domain: str
    is_anomaly: bool


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The truth about a test set.

    Attributes:
        path: Where it was read.
        clips: Key of a clip (see `dcase_files.clip_key`) -> its truth.
        original: Key of a clip by its name before it was hidden -> its key; the official baseline scores under these.
    """

    path: Path
    clips: dict[str, Truth] = field(default_factory=dict)
    original: dict[str, str] = field(default_factory=dict)

    def key(self, machine: str, name: str) -> str:
        """Key of the clip that has this name, hidden or original."""
        key = clip_key(machine, name)
        return key if key in self.clips else self.original.get(key, key)


def read_ground_truth(path: str | Path) -> GroundTruth:
    """Reads the ground truth of any year.

    Args:
        path: An official evaluator's folder (2021 to 2024) or its ``ground_truth_data``, with
            ``ground_truth_domain`` and ``ground_truth_attributes`` beside it where it has them; or a list as
            ``eval_data_list.csv``: a line with the machine, then ``name,original name[,0 or 1]`` lines.

    Raises:
        ValueError: Nothing there, another form, a value other than 0 and 1, a clip twice, or files that contradict
            each other or the clips' names.
    """
    truth = GroundTruth(Path(path))
    (_read_folder if truth.path.is_dir() else _read_list)(truth.path, truth)
    return truth


def _read_folder(folder: Path, truth: GroundTruth) -> None:
    data = folder / "ground_truth_data" if (folder / "ground_truth_data").is_dir() else folder
    paths = sorted(data.glob("ground_truth_*.csv"))
    if not paths:
        raise ValueError(
            f"{folder}: no ground_truth_<machine>_<section>_test.csv in it or in its ground_truth_data"
        )
    for path in paths:
        part = parse_file_name(path, "ground_truth")
        labels = read_flags(path, "label")
        domains = _read_domains(data.parent / "ground_truth_domain" / path.name, labels, part.domain)
        for row, ((name, is_anomaly), domain) in enumerate(zip(labels.items(), domains, strict=True)):
            found = Truth(part.section, domain, is_anomaly)
            _refuse_contradiction(path, row, name, name, found)
            truth.clips[clip_key(part.machine, name)] = found
        attributes = data.parent / "ground_truth_attributes" / path.name
        for row, fields in enumerate(read_rows(attributes) if attributes.is_file() else ()):
            if len(fields) < 2:
                fail(attributes, row, "expected 'name.wav,original name'")
            if found := truth.clips.get(clip_key(part.machine, fields[0])):
                _refuse_contradiction(attributes, row, fields[0], fields[1], found)
            truth.original[clip_key(part.machine, fields[1])] = clip_key(part.machine, fields[0])


def _refuse_contradiction(path: Path, row: int, name: str, told: str, truth: Truth) -> None:
    """Raises a ValueError where one of a clip's names tells otherwise than the truth about it."""
    section, domain, is_anomaly = truth
    if wrong := contradiction(told, section=section, domain=domain, is_anomaly=is_anomaly):
        known = describe(section, domain, is_anomaly=is_anomaly)
        fail(path, row, f"{name} is {known} by the ground truth, and {wrong}: take the organisers' own files")


def _read_domains(path: Path, names: Collection[str], of_file: str) -> list[str]:
    """Domains of the named clips: those of a file of 0 (source) and 1 (target) where it is there."""
    if not path.is_file():
        return [of_file] * len(names)
    is_target = read_flags(path, "domain")
    if missing := [name for name in names if name not in is_target]:
        raise ValueError(
            f"{path}: no domain for {missing[0]} and {len(missing) - 1} others; restore the file"
        )
    return ["target" if is_target[name] else "source" for name in names]


def _read_list(path: Path, truth: GroundTruth) -> None:
    truths, machine = truth.clips, ""
    for row, fields in enumerate(read_rows(path)):
        if len(fields) == 1:
            machine = fields[0]
            continue
        name, told = parse_clip_name(fields[0]), parse_clip_name(fields[1])
        if not machine or name is None or told is None or len(fields) > 3:
            fail(path, row, "expected the machine's name or 'name.wav,original name.wav[,0 or 1]'")
        is_anomaly = told.is_anomaly
        if len(fields) == 3:
            is_anomaly = as_flag(fields[2], path, row, f"label of {fields[0]}")
        key = clip_key(machine, fields[0])
        if is_anomaly is None or key in truths:
            fail(path, row, f"{key} comes a second time" if key in truths else f"{fields[1]} tells no label")
        truths[key] = Truth(name.section, name.domain or told.domain, is_anomaly)
        for each in fields[:2]:
            _refuse_contradiction(path, row, fields[0], each, truths[key])
        truth.original[clip_key(machine, fields[1])] = key
    if all(key in truths and truths[key].is_anomaly == label for key, label in _WRONG_IN_2022.items()):
        raise ValueError(
            f"{path}: this list of 2022 has 608 wrong labels of ToyCar and ToyTrain; take the official evaluator's "
            "folder ground_truth_data"
        )
