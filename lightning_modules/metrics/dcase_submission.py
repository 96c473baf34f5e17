"""Submissions to DCASE Task 2: a folder of anomaly scores and decisions, one CSV file a machine and section."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from lightning_modules.metrics.dcase_files import (
    Part,
    clip_key,
    contradiction,
    describe,
    parse_clip_name,
    parse_file_name,
    read_flags,
    read_pairs,
)
from lightning_modules.metrics.dcase_ground_truth import GroundTruth, Truth
from lightning_modules.metrics.text_columns import as_numbers, fail


@dataclass(slots=True)
class Submission:
    """Scores and labels of all clips, columns of `evaluate_dcase`.

    Attributes:
        year: Whose rules apply, as far as the files tell: since 2022 the rules are the same.
        scores: Higher means more anomalous.
        is_anomaly: The labels.
        machine: E.g. "fan".
        section: E.g. "section_00".
        domain: "source", "target" or "".
        decisions: Whether a clip was called anomalous; empty where the folder holds no decisions.
        keys: ``<machine>/<name>`` of the clips.
    """

    year: int
    scores: list[float] = field(default_factory=list)
    is_anomaly: list[bool] = field(default_factory=list)
    machine: list[str] = field(default_factory=list)
    section: list[str] = field(default_factory=list)
    domain: list[str] = field(default_factory=list)
    decisions: list[bool] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


def read_submission(folder: str | Path, truth: GroundTruth | None = None) -> Submission:
    """Reads ``anomaly_score_*.csv`` and, where the folder has any, ``decision_result_*.csv``.

    Rows go by the clips' names, in any order.

    Args:
        folder: Files as ``anomaly_score_fan_id_00.csv`` (2020), ``..._section_00_source_test.csv`` (2021),
            ``..._section_00_test.csv``, or the baseline's ``..._DCASE2023T2fan_section_00_test_seed1_Eval.csv``.
        truth: What the clips are; without, their names must tell, as those of development sets do.

    Raises:
        ValueError: No such files, a wrong number or decision, a clip double, missing or unknown.
    """
    folder = Path(folder)
    paths = sorted(folder.glob("anomaly_score_*.csv"))
    if not paths:
        raise ValueError(f"{folder}: no anomaly_score_<machine>_<section>_test.csv in it")
    parts = {path: parse_file_name(path, "anomaly_score") for path in paths}
    submission = Submission(_year(list(parts.values())))
    with_decisions = any(folder.glob("decision_result_*.csv"))
    scored: dict[str, str] = {}  # key of a clip -> the file that scores it
    for path, part in parts.items():
        names, texts = read_pairs(path)
        truths = [_truth(path, row, part, name, truth) for row, name in enumerate(names)]
        submission.scores += as_numbers(path, texts, names).tolist()
        if with_decisions:
            decisions = path.with_name(path.name.replace("anomaly_score", "decision_result", 1))
            submission.decisions += _read_decisions(decisions, names, path)
        submission.is_anomaly += [each.is_anomaly for each in truths]
        submission.machine += [part.machine] * len(names)
        submission.section += [part.section] * len(names)
        submission.domain += [each.domain for each in truths]
        key_of = clip_key if truth is None else truth.key
        for key in (key_of(part.machine, name) for name in names):
            if key in scored:
                raise ValueError(
                    f"{path}: {key} already has a score in {scored[key]}; keep the files of one system in a folder"
                )
            scored[key] = path.name
            submission.keys.append(key)
    if truth is not None and (missing := [key for key in truth.clips if key not in scored]):
        _fail_missing(folder, parts, missing, truth)
    return submission


def _year(parts: list[Part]) -> int:
    if any(part.year for part in parts):
        return max(int(part.year) for part in parts if part.year)
    if any(part.section.startswith("id_") for part in parts):
        return 2020
    return 2021 if any(part.domain for part in parts) else 2022


def _truth(path: Path, row: int, part: Part, name: str, truth: GroundTruth | None) -> Truth:
    told = parse_clip_name(name)
    if told is None or told.section != part.section:
        fail(path, row, f"{name!r} is no clip of {part.section}; expected a name as {part.section}_0000.wav")
    if truth is not None:
        key = truth.key(part.machine, name)
        if key not in truth.clips:
            fail(path, row, f"{key} is not in {truth.path}; check machine, section and year")
        section, domain, is_anomaly = known = truth.clips[key]
        if wrong := contradiction(name, section=section, domain=domain, is_anomaly=is_anomaly):
            by_truth = describe(section, domain, is_anomaly=is_anomaly)
            fail(path, row, f"{key} is {by_truth} by {truth.path}, and {wrong}: the two are not of one set")
        return known
    if told.is_anomaly is None:
        fail(path, row, f"{name} does not tell whether it is normal or anomaly; give --ground-truth")
    if told.domain and part.domain and told.domain != part.domain:
        fail(
            path, row, f"{name} is of the domain {told.domain}, and the file of {part.domain}: move the line"
        )
    return Truth(part.section, told.domain or part.domain, told.is_anomaly)


def _read_decisions(path: Path, names: list[str], scores: Path) -> list[bool]:
    """Decisions on the named clips of a score file, in their order."""
    decisions = read_flags(path, "decision")
    scored = set(names)
    if unknown := [(row, name) for row, name in enumerate(decisions) if name not in scored]:
        row, name = unknown[0]
        fail(path, row, f"{name} and {len(unknown) - 1} others have no score in {scores.name}")
    if missing := [name for name in names if name not in decisions]:
        raise ValueError(
            f"{path}: no decision on {missing[0]} and {len(missing) - 1} others of {scores.name}"
        )
    return [decisions[name] for name in names]


def _fail_missing(folder: Path, parts: dict[Path, Part], missing: list[str], truth: GroundTruth) -> NoReturn:
    """Raises a ValueError about the file that lacks clips, or about the lacking file."""
    machine, (section, domain, _) = missing[0].split("/")[0], truth.clips[missing[0]]
    whole, half = Part(machine, section, "", ""), Part(machine, section, domain, "")
    paths = [path for path, part in parts.items() if part._replace(year="") in (whole, half)]
    where = str(paths[0]) if paths else f"{folder}: no anomaly_score_{machine}_{section}_test.csv"
    raise ValueError(
        f"{where}: no score for {missing[0]} and {len(missing) - 1} others of {truth.path}; score every clip"
    )
