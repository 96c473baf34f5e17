"""Equality with what the official evaluators of DCASE Task 2 print, on random submissions.

Needs their folders, none of which is part of this project: DCASE2020_EVALUATOR to DCASE2024_EVALUATOR (clones of
y-kawagu/dcase2020_task2_evaluator with its ground truth eval_data_list.csv put in, y-kawagu/dcase2021_task2_evaluator,
Kota-Dohi/dcase2022_evaluator, nttcslab/dcase2023_task2_evaluator and nttcslab/dcase2024_task2_evaluator), and a
Python with scikit-learn, scipy and pandas: DCASE_EVALUATOR_PYTHON where this one lacks them.
"""

import csv
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lightning_modules.metrics.dcase_evaluation import DcaseEvaluation, evaluate_dcase
from lightning_modules.metrics.dcase_ground_truth import GroundTruth, read_ground_truth
from lightning_modules.metrics.dcase_means import FigureRow
from lightning_modules.metrics.dcase_submission import read_submission

EXACT = {"rel": 0, "abs": 1e-9}
PLOTS = (
    "class AnmScoreFigData:\n    anm_score_to_figdata = append_figdata = show_fig = lambda *_, **__: None\n"
)
FIGURES = ("auc", "pauc", "precision", "recall", "f1")
DOMAINS = ("source", "target")
KINDS = {
    "negative": lambda scores: scores - 1e3,
    "huge": lambda scores: np.sign(scores) * 10 ** (30 + abs(scores)),
    "tied": np.round,
}


def reference(variable: str) -> Path:
    if variable not in os.environ:
        pytest.skip(f"{variable} does not name the official evaluator's folder")
    return Path(os.environ[variable])


@pytest.fixture(scope="session")
def python() -> str:
    """A Python that can run the evaluators."""
    program = os.environ.get("DCASE_EVALUATOR_PYTHON", sys.executable)
    done = subprocess.run([program, "-c", "import sklearn, scipy, pandas"], check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"{program} lacks scikit-learn, scipy or pandas: set DCASE_EVALUATOR_PYTHON")
    return program


def write_submission(folder: Path, truth: GroundTruth, *, year: int, kind: str) -> None:
    """Writes a random score of and decision on every clip of the ground truth, rows in random order."""
    rng = np.random.default_rng(year)
    keys = list(truth.clips)
    rng.shuffle(keys)
    scores = KINDS[kind](rng.normal(size=len(keys)) + [truth.clips[key].is_anomaly for key in keys])
    files: defaultdict[str, list[str]] = defaultdict(list)
    for key, score, decision in zip(keys, scores, rng.integers(0, 2, len(keys)), strict=True):
        machine, name = key.split("/")
        section, domain, _ = truth.clips[key]
        end = {2020: "", 2021: f"_{domain}_test"}.get(year, "_test")
        for prefix, value in (("anomaly_score", score), ("decision_result", decision)):
            files[f"{prefix}_{machine}_{section}{end}.csv"].append(f"{name}.wav,{value}")
    folder.mkdir(parents=True)
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n")


def evaluate(folder: Path, truth: GroundTruth, *, year: int) -> DcaseEvaluation:
    submission = read_submission(folder, truth)
    assert submission.year == (2022 if year > 2021 else year)
    return evaluate_dcase(
        submission.scores,
        submission.is_anomaly,
        machine=submission.machine,
        section=submission.section,
        domain=submission.domain,
        year=year,
        decisions=submission.decisions,
    )


def run_official(python: str, folder: Path, *, year: int, at: Path) -> None:
    """Runs the evaluator of a year on ``teams`` in a folder that looks like its own."""
    for name in ("ground_truth_data", "ground_truth_domain", "ground_truth_attributes", "eval_data_list.csv"):
        if (folder / name).exists():
            (at / name).symlink_to(folder / name)
    (at / "tools").mkdir()
    (at / "tools/plot_anm_score.py").write_text(PLOTS)  # the plots need packages that the numbers do not
    script = "evaluator.py" if year == 2020 else f"dcase{year}_task2_evaluator.py"
    (at / script).write_bytes((folder / script).read_bytes())  # a link would find the folder's own tools
    done = subprocess.run(
        [python, script],
        cwd=at,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def read_blocks(path: Path) -> dict[str, list[list[str]]]:
    """The evaluators' result file: a block a machine, then (since 2021) one over all ("")."""
    blocks: dict[str, list[list[str]]] = {}
    machine = ""
    with path.open(newline="") as file:
        for fields in csv.reader(file):
            if len(fields) == 1:
                machine = fields[0]
            elif fields:
                blocks.setdefault(machine, []).append(fields)
            else:
                machine = ""
    return blocks


def numbers(fields: list[str]) -> list[float]:
    return [float(field) for field in fields]


def ours(rows: Sequence[FigureRow], names: Sequence[str], **condition: str) -> list[float]:
    (row,) = [row for row in rows if all(row[name] == value for name, value in condition.items())]
    return [float(row[name]) for name in names]


def prepare(
    tmp_path: Path, python: str, *, year: int, kind: str
) -> tuple[DcaseEvaluation, dict[str, list[list[str]]]]:
    folder = reference(f"DCASE{year}_EVALUATOR")
    truth = read_ground_truth(folder / "eval_data_list.csv" if year == 2020 else folder)
    team = tmp_path / "teams" / ("" if year < 2022 else "team") / "system"
    write_submission(team, truth, year=year, kind=kind)
    run_official(python, folder, year=year, at=tmp_path)
    place = tmp_path / ("teams/result_system.csv" if year == 2020 else "teams_result/system_result.csv")
    return evaluate(team, truth, year=year), read_blocks(place)


@pytest.mark.parametrize("kind", KINDS)
def test_all_figures_of_2020(kind, tmp_path, python):
    evaluation, blocks = prepare(tmp_path, python, year=2020, kind=kind)
    assert len(blocks) == 6
    for machine, (_, *lines) in blocks.items():
        for number, *theirs in lines[:-1]:
            row = ours(evaluation.rows, ("auc", "pauc"), machine=machine, section=f"id_{number}")
            assert row == pytest.approx(numbers(theirs), **EXACT)
        mean = ours(evaluation.means, ("auc", "pauc"), machine=machine)
        assert mean == pytest.approx(numbers(lines[-1][1:]), **EXACT)
    averages = np.mean([numbers(lines[-1][1:]) for lines in blocks.values()], axis=0)
    assert [evaluation.summary["auc"], evaluation.summary["pauc"]] == pytest.approx(averages, **EXACT)


def check_means(evaluation: DcaseEvaluation, machine: str, lines: dict[str, list[float]]) -> None:
    for name, theirs in lines.items():
        kind = "arithmetic" if name.startswith("arithmetic") else "harmonic"
        domain = next((domain for domain in DOMAINS if name.startswith(domain)), "")
        mean = ours(evaluation.means, FIGURES, machine=machine, domain=domain, mean=kind)
        assert mean == pytest.approx(theirs, **EXACT), (machine, name)


@pytest.mark.parametrize("kind", KINDS)
def test_all_figures_of_2021(kind, tmp_path, python):
    evaluation, blocks = prepare(tmp_path, python, year=2021, kind=kind)
    assert len(blocks) == 8
    (_, *overall, (_, _, official)) = blocks.pop("")
    assert evaluation.summary["official_score"] == pytest.approx(float(official), **EXACT)
    check_means(evaluation, "", {name: numbers(theirs) for name, _, *theirs in overall})
    for machine, (_, *lines) in blocks.items():
        assert len(lines) == 6 + 4
        for section, domain, *theirs in lines[:6]:
            row = ours(evaluation.rows, FIGURES, machine=machine, section=f"section_{section}", domain=domain)
            assert row == pytest.approx(numbers(theirs), **EXACT)
        check_means(evaluation, machine, {name: numbers(theirs) for name, _, *theirs in lines[6:]})


@pytest.mark.slow  # the evaluators' jackknife takes a minute
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("year", [2022, 2023, 2024])
def test_all_figures_since_2022(year, kind, tmp_path, python):
    evaluation, blocks = prepare(tmp_path, python, year=year, kind=kind)
    assert len(blocks) == {2022: 7, 2023: 7, 2024: 9}[year] + 1
    (_, *overall) = blocks.pop("")
    official = float(overall[4][2])
    assert evaluation.summary["official_score"] == pytest.approx(official, **EXACT)
    check_means(evaluation, "", {name: numbers(theirs) for name, _, *theirs in overall[:4]})
    for machine, (_, *lines) in blocks.items():
        end = [fields[2] for fields in lines].index("AUC")
        for section, *theirs in lines[:end]:
            whole, *aucs, pauc = numbers(theirs[:4])
            for number, domain in enumerate(DOMAINS):
                place = {"machine": machine, "section": f"section_{section}", "domain": domain}
                row = ours(evaluation.rows, ("auc_all", *FIGURES), **place)
                decisions = numbers(theirs[4 + number :: 2])
                assert row == pytest.approx([whole, aucs[number], pauc, *decisions], **EXACT)
        # of 2022 the lines of one domain in a machine's block mix domains: they slice by sections, not by rows
        means = lines[end + 1 :][: 2 if year == 2022 else 4]
        check_means(evaluation, machine, {name: numbers(theirs) for name, _, *theirs in means})
