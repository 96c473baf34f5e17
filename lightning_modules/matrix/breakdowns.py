"""Errors on trials of one class by attack, codec, language and speaker, at the threshold of another corpus."""

import csv
from collections.abc import Iterable
from pathlib import Path

from lightning_modules.matrix.evaluated import Evaluated
from lightning_modules.matrix.figures import Figures
from lightning_modules.metrics.cross_corpus import breakdown
from lightning_modules.metrics.trial_table import read_trials

_BY = ("attack", "codec", "language", "speaker")


def one_class_breakdowns(rows: Iterable[Evaluated], found: Figures) -> list[dict[str, object]]:
    """A line a group of each evaluation of one class; shares in percent."""
    lines = []
    for each in rows:
        if found.sides[each.column].both:
            continue
        threshold = found.threshold((each.detector, each.condition, each.seed))
        if threshold is None:
            continue
        trials = read_trials(each.trials)
        error = "spoof accepted %" if found.sides[each.column].spoof else "bona fide rejected %"
        for name, groups in _columns(each.trials).items():
            lines += [
                {
                    **each.detector._asdict(),
                    "seed": each.seed,
                    "condition": each.condition,
                    "corpus": str(each.column),
                    "by": name,
                    "group": row["condition"],
                    "trials": int(row["bona fide"]) + int(row["spoof"]),
                    "error": error.removesuffix(" %"),
                    "percent": row[error],
                }
                for row in breakdown(trials, groups, threshold)
            ]
    return lines


def _columns(path: Path) -> dict[str, list[str]]:
    """Attributes of a table of trials that take several values."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        head = next(reader)
        places = {name: head.index(name) for name in _BY if name in head}
        columns: dict[str, list[str]] = {name: [] for name in places}
        for row in reader:
            for name, at in places.items():
                columns[name].append(row[at])
    return {name: values for name, values in columns.items() if len(set(values)) > 1}
