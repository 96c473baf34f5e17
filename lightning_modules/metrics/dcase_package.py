"""The package that is submitted to DCASE Task 2: a zip of up to four systems' scores and decisions.

Sources: the submission instructions of the challenge (labels, four systems a team, meta data, technical report), the
organisers' validator of packages of 2020 (folders) and their evaluators of Task 2 (names of files).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import yaml

from datamodules.files import replacing
from lightning_modules.metrics.dcase_files import (
    Part,
    parse_clip_name,
    parse_file_name,
    read_flags,
    read_pairs,
)
from lightning_modules.metrics.text_columns import as_numbers, fail

MAX_SYSTEMS = 4
EVALUATED = {
    2020: ("ToyCar", "ToyConveyor", "fan", "pump", "slider", "valve"),
    2021: ("ToyCar", "ToyTrain", "fan", "gearbox", "pump", "slider", "valve"),
    2022: ("ToyCar", "ToyTrain", "bearing", "fan", "gearbox", "slider", "valve"),
    2023: ("ToyDrone", "ToyNscale", "ToyTank", "Vacuum", "bandsaw", "grinder", "shaker"),
    2024: (
        *(
            "3DPrinter",
            "AirCompressor",
            "BrushlessMotor",
            "HairDryer",
            "HoveringDrone",
            "RoboticArm",
            "Scanner",
        ),
        *("ToothBrush", "ToyCircuit"),
    ),
    2025: (
        *("AutoTrash", "BandSealer", "CoffeeGrinder", "HomeCamera", "Polisher", "ScrewFeeder", "ToyPet"),
        "ToyRCCar",
    ),
    2026: ("BlowerDustCollector", "Sander", "SewingMachine", "ToothBrush", "ToyDrone"),
}
"""Year -> machines of its evaluation set."""

_LABEL = re.compile(r"[A-Za-z0-9-]+_[A-Za-z0-9-]+")
_WITH_DECISIONS = 2021  # the first year that asks for them

Clips = dict[Part, list[str]]
"""What a file covers -> names of its clips, sorted."""


@dataclass(frozen=True, slots=True)
class System:
    """One system of a submission.

    Attributes:
        folder: With its ``anomaly_score_*.csv`` and ``decision_result_*.csv``.
        meta: Its meta data, YAML, if they are there.
    """

    folder: Path
    meta: Path | None = None


@dataclass(frozen=True, slots=True)
class Package:
    """What was written.

    Attributes:
        names: Of the files in the zip.
        missing: Machines of the year's evaluation set that are not scored.
    """

    names: list[str]
    missing: list[str]


def write_package(
    path: Path, systems: Sequence[System], *, label: str, year: int, report: Path | None = None
) -> Package:
    """Writes the zip, once all files are found right.

    Args:
        path: Where to.
        systems: At most four, in the order of their numbers.
        label: Last name of the corresponding author and abbreviation of the institute, as ``Lee_KUL``.
        year: Edition of the challenge.
        report: The technical report, PDF.

    Raises:
        ValueError: A wrong label, too many systems, or a file that is missing, wrong or of another set of clips.
    """
    if not _LABEL.fullmatch(label):
        raise ValueError(f"label {label!r}: expected LASTNAME_INSTITUTE in letters and digits, as Lee_KUL")
    if not 1 <= len(systems) <= MAX_SYSTEMS:
        raise ValueError(f"{len(systems)} systems: a team submits one to {MAX_SYSTEMS}")
    files: dict[str, Path] = {}
    clips: Clips = {}
    for number, system in enumerate(systems, start=1):
        name = f"{label}_task2_{number}"
        found, paths = _checked(system.folder, year=year)
        if clips and found != clips:
            raise ValueError(
                f"{system.folder}: scores other clips than {systems[0].folder}: {_difference(found, clips)}; the"
                " systems of a team score the same evaluation set"
            )
        clips = found
        files |= {f"{label}/task2/{name}/{each.name}": each for each in paths}
        if system.meta is not None:
            _check_meta(system.meta, name)
            files[f"{label}/task2/{name}/{name}.meta.yaml"] = system.meta
    if report is not None:
        if not report.is_file() or not report.read_bytes().startswith(b"%PDF"):
            raise ValueError(f"{report}: no PDF: name the technical report")
        files[f"{label}/task2/{label}_task2_1.technical_report.pdf"] = report
    with replacing(path) as file, ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, source in files.items():
            archive.writestr(name, source.read_bytes())
    machines = {part.machine for part in clips}
    return Package(list(files), [name for name in EVALUATED[year] if name not in machines])


def _checked(folder: Path, *, year: int) -> tuple[Clips, list[Path]]:
    """What a system scores, and its files."""
    scores = sorted(folder.glob("anomaly_score_*.csv"))
    if not scores:
        raise ValueError(
            f"{folder}: no anomaly_score_<machine>_<section>_test.csv in it; test writes them with data.subset=eval"
        )
    clips: Clips = {}
    paths = list(scores)
    for path in scores:
        part = parse_file_name(path, "anomaly_score")
        names, texts = read_pairs(path)
        as_numbers(path, texts, names)
        for row, name in enumerate(names):
            _check_name(path, row, part, name)
        clips[part] = sorted(names)
        if year >= _WITH_DECISIONS:
            decisions = path.with_name(path.name.replace("anomaly_score", "decision_result", 1))
            if sorted(read_flags(decisions, "decision")) != clips[part]:
                raise ValueError(f"{decisions}: decides on other clips than {path.name} scores")
            paths.append(decisions)
    return clips, paths


def _check_name(path: Path, row: int, part: Part, name: str) -> None:
    told = parse_clip_name(name)
    if told is None or told.section != part.section:
        fail(path, row, f"{name!r} is no clip of {part.section}; expected a name as {part.section}_0000.wav")
    if told.is_anomaly is not None:
        fail(
            path, row, f"{name} tells its label, as no clip to be submitted does: test with data.subset=eval"
        )


def _difference(found: Clips, expected: Clips) -> str:
    odd = sorted(f"{part.machine} {part.section}" for part in found.keys() ^ expected.keys())
    if odd:
        return f"{odd[0]} is in one alone"
    part = next(part for part in found if found[part] != expected[part])
    return f"of {part.machine} {part.section} {len(found[part])} clips beside {len(expected[part])}"


def _check_meta(path: Path, name: str) -> None:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: no meta data ({str(error).splitlines()[0]})") from None
    told = ((content or {}).get("submission") or {}).get("label") if isinstance(content, dict) else None
    if told != name:
        raise ValueError(f"{path}: submission.label is {told!r}, expected {name}: correct it")
