"""What `report` costs on a million trials, beside NumPy reading and sorting the same files and doing nothing else."""

import subprocess
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.files import write_csv
from lightning_modules.metrics.trial_table import LABELS

_BARE = """
import sys, numpy
for path in sys.argv[1:]:
    table = numpy.loadtxt(path, [("label", "U8"), ("score", "f8")], delimiter=",", skiprows=1, usecols=(1, 2))
    numpy.sort(table["score"])
"""
# A process counts the memory of the one that started it: one between them is small.
_WATCH = """
import os, sys
child = os.posix_spawn(
    sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
)
_, status, used = os.wait4(child, 0)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
_ROUNDS = 3


class Cost(NamedTuple):
    """Of a process: CPU seconds, and GiB of memory at their most."""

    cpu_s: float
    memory_gib: float


def report_figures(folder: Path, *, num_trials: int = 1_000_000, num_corpora: int = 10) -> dict[str, float]:
    """The least of three turns each; both start Python anew.

    Args:
        folder: Where trials of one detector are made.
        num_trials: Of all corpora together.
        num_corpora: Of equal size.
    """
    tables = write_evaluations(folder, num_trials=num_trials, num_corpora=num_corpora)
    command = ["-m", "lightning_modules.report", str(folder), f"--output={folder / 'report'}"]
    turns = [(_cost(command), _cost(["-c", _BARE, *map(str, tables)])) for _ in range(_ROUNDS)]
    report, bare = (min(each.cpu_s for each in costs) for costs in zip(*turns, strict=True))
    return {
        "trials": num_trials,
        "corpora": num_corpora,
        "report_cpu_s": report,
        "report_memory_gib": max(costs.memory_gib for costs, _ in turns),
        "loadtxt_and_sort_cpu_s": bare,
        "report_over_loadtxt_and_sort": report / bare,
    }


def write_evaluations(folder: Path, *, num_trials: int, num_corpora: int) -> list[Path]:
    """Writes an evaluations.csv and its tables of trials, of made scores; returns these tables."""
    rng = np.random.default_rng(0)
    head = ["key", "label", "score", "corpus", "attack", "codec", "language", "speaker"]
    columns = ["experiment", "run", "seed", "corpus", "split", "clips", "data_hash", "trials"]
    rows, tables, each = [], [], num_trials // num_corpora
    for number in range(num_corpora):
        name = f"corpus_{number}"
        is_bonafide = rng.random(each) < 0.1
        scores = (rng.normal(size=each) + 2 * is_bonafide).astype(np.float32)
        lines = (
            (
                f"utterance_{at:07d}",
                LABELS[kind],
                f"{score:.9g}",
                name,
                f"A{at % 19:02d}",
                f"C{at % 7}",
                "en",
                at % 200,
            )
            for at, (kind, score) in enumerate(zip(is_bonafide.tolist(), scores.tolist(), strict=True))
        )
        path = folder / "evaluations" / name / "made/x/tables/test_trials.csv"
        tables.append(write_csv(path, chain([head], lines)))
        rows.append(("made", "x", 0, name, "test", each, number, path))
    write_csv(folder / "evaluations.csv", [columns, *rows])
    return tables


def _cost(arguments: Sequence[str]) -> Cost:
    """Runs Python to its success."""
    command = [sys.executable, "-c", _WATCH, sys.executable, *arguments]
    watched = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if watched.returncode:
        raise ValueError(f"python {' '.join(arguments[:2])} failed: {watched.stderr.strip()[-500:]}")
    seconds, kilobytes = map(float, watched.stdout.split())
    return Cost(seconds, kilobytes / 2**20)
