"""Means of the figures of machines, sections and domains, as DCASE Task 2 sums a system up."""

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, harmonic_mean

DOMAINS = ("source", "target")
AVERAGED = ("auc", "pauc", "precision", "recall", "f1")
EPSILON = sys.float_info.epsilon  # the evaluators' floor of divisors and of what a harmonic mean takes

FigureRow = dict[str, str | float]


def all_means(rows: Sequence[FigureRow], *, year: int) -> list[FigureRow]:
    """Means of each machine's rows and of all, over all domains and over each; undefined figures are left out.

    Args:
        rows: As in `DcaseEvaluation.rows`.
        year: In 2020 means are arithmetic only; since 2021 there are harmonic ones too.

    Returns:
        As in `DcaseEvaluation.means`.
    """
    machines = dict.fromkeys(str(row["machine"]) for row in rows)
    of_machines = [
        mean
        for machine in machines
        for mean in _means([row for row in rows if row["machine"] == machine], machine=machine, year=year)
    ]
    # in 2020 every machine counts the same, whether it has three sections or four
    return [*of_machines, *_means(of_machines if year == 2020 else rows, machine="", year=year)]


def summarise(rows: Sequence[FigureRow], means: Sequence[FigureRow], *, year: int) -> dict[str, float]:
    """The figures of the whole system, as in `DcaseEvaluation.summary`."""
    kind = "arithmetic" if year == 2020 else "harmonic"
    overall = {row["domain"]: row for row in means if not row["machine"] and row["mean"] == kind}
    pooled = {name: float(overall[""][name]) for name in AVERAGED if name in overall[""]}
    if set(overall) != {"", *DOMAINS}:
        return pooled
    by_domain = {
        f"{name}_{domain}": float(overall[domain][name])
        for name in (("auc", "pauc") if year == 2021 else ("auc",))
        for domain in DOMAINS
    }
    return {"official_score": _official_score(rows, year=year)} | pooled | by_domain


def _official_score(rows: Sequence[FigureRow], *, year: int) -> float:
    # since 2022 the rows of both domains repeat the section's pAUC, which counts once
    paucs = {
        (row["machine"], row["section"], row["domain"] if year == 2021 else ""): row["pauc"] for row in rows
    }
    return _of_defined(_floored_harmonic_mean, [*(row["auc"] for row in rows), *paucs.values()])


def _means(rows: Sequence[FigureRow], *, machine: str, year: int) -> list[FigureRow]:
    kinds = {"arithmetic": fmean} | ({} if year == 2020 else {"harmonic": _floored_harmonic_mean})
    means = []
    for domain in dict.fromkeys(("", *sorted(str(row["domain"]) for row in rows))):
        members = [row for row in rows if domain in ("", row["domain"])]
        for kind, mean in kinds.items():
            averaged = [name for name in AVERAGED if name in rows[0]]
            figures = {name: _of_defined(mean, [row[name] for row in members]) for name in averaged}
            means.append({"machine": machine, "domain": domain, "mean": kind} | figures)
    return means


def _of_defined(mean: Callable[[list[float]], float], figures: Iterable[str | float]) -> float:
    defined = [number for number in map(float, figures) if not math.isnan(number)]
    return mean(defined) if defined else math.nan


def _floored_harmonic_mean(values: list[float]) -> float:
    return harmonic_mean([max(value, EPSILON) for value in values])
