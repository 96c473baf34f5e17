"""The figures of detectors as tables: cells for Markdown and LaTeX, and lines for CSV."""

import math
from collections.abc import Mapping, Sequence

from lightning_modules.matrix.evaluated import CLEAN, Column, Detector
from lightning_modules.matrix.figures import MEAN, POOLED, Checkpoint, Condition, Estimate, Estimates, Figures
from lightning_modules.matrix.published import System

Cells = tuple[list[str], list[list[str]]]
NONE = "–"


def matrix(
    found: Figures,
    estimates: Estimates,
    condition: Condition,
    systems: Sequence[tuple[System, Mapping[Column, float]]],
) -> Cells:
    """Head and rows: a row a detector and a column a corpus, published systems beneath; percent."""
    head = ["trained on", "method", *map(_titled(found), found.columns)]
    usual = most_seeds(estimates)
    ours = [
        [
            detector.trained_on,
            _marked(detector),
            *(_cell(each.get(column), usual) for column in found.columns),
        ]
        for (detector, under), each in estimates.items()
        if under == condition
    ]
    theirs = [
        [
            system.detector.trained_on,
            f"published: {_marked(system.detector)}",
            *(_percent(known[column]) if column in known else NONE for column in found.columns),
        ]
        for system, known in systems
    ]
    return head, ours + theirs


def robustness(
    found: Figures,
    estimates: Estimates,
    detector: Detector,
    conditions: Sequence[Condition],
) -> Cells:
    """Head and rows: a row a condition, of one detector; percent."""
    usual = most_seeds(estimates)
    rows = [
        [condition, *(_cell(estimates[detector, condition].get(column), usual) for column in found.columns)]
        for condition in conditions
        if (detector, condition) in estimates
    ]
    return ["condition", *map(_titled(found), found.columns)], rows


def most_seeds(estimates: Estimates) -> int:
    """Of a figure."""
    return max((each.n for row in estimates.values() for each in row.values()), default=0)


def lines(
    found: Figures,
    estimates: Estimates,
    systems: Sequence[tuple[System, Mapping[Column, float]]],
) -> list[dict[str, object]]:
    """One line a figure, fractions in full precision; a deviation of one seed is empty."""
    ours = [
        {
            **_of(found, detector, condition, column),
            "value": each.mean,
            "sd": "" if math.isnan(each.sd) else each.sd,
            "seeds": each.n,
            "source": "",
        }
        for (detector, condition), row in estimates.items()
        for column, each in row.items()
    ]
    theirs = [
        {
            **_of(found, system.detector, CLEAN, column),
            "value": value,
            "sd": "",
            "seeds": "",
            "source": system.source,
        }
        for system, known in systems
        for column, value in known.items()
    ]
    return ours + theirs


def checkpoint_lines(found: Figures, paths: Mapping[Checkpoint, str]) -> list[dict[str, object]]:
    """One line a figure of each checkpoint, with its threshold and numbers of trials."""
    return [
        {
            **_of(found, detector, condition, column),
            "seed": seed,
            "checkpoint": paths[detector, condition, seed],
            "value": value,
            "threshold": point.threshold if (point := points.get(column)) is not None else "",
            "bona fide": sides.bonafide if (sides := found.sides.get(column)) is not None else "",
            "spoof": sides.spoof if sides is not None else "",
        }
        for (detector, condition, seed), values in found.values.items()
        for points in [found.points[detector, condition, seed]]
        for column, value in values.items()
    ]


def _of(found: Figures, detector: Detector, condition: Condition, column: Column) -> dict[str, object]:
    sides = found.sides.get(column)
    return {
        **detector._asdict(),
        "condition": condition,
        "corpus": str(column),
        "figure": "EER" if sides is None else sides.figure,
    }


def _titled(found: Figures):
    def title(column: Column) -> str:
        sides = found.sides.get(column)
        return (
            str(column)
            if column in (MEAN, POOLED) or sides is None or sides.both
            else f"{column}: {sides.figure}"
        )

    return title


def _marked(detector: Detector) -> str:
    return f"{detector.method} ({detector.resources})" if detector.resources else detector.method


def _cell(estimate: Estimate | None, usual: int) -> str:
    if estimate is None:
        return NONE
    spread = "" if math.isnan(estimate.sd) else f" ± {_percent(estimate.sd)}"
    return f"{_percent(estimate.mean)}{spread}" + (f" (n={estimate.n})" if estimate.n != usual else "")


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"
