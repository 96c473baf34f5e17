"""Whether one detector of anomalous sounds is better than another on the same clips of DCASE Task 2."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightning_modules.metrics.dcase_evaluation import evaluate_dcase
from lightning_modules.metrics.dcase_means import EPSILON
from lightning_modules.metrics.dcase_submission import Submission
from lightning_modules.metrics.functional.paired_bootstrap import BootstrapDifference

_Part = tuple[str, str]  # machine and section


@dataclass(frozen=True, slots=True)
class _Row:
    """Clips of an AUC: those of a section, of which some count.

    Attributes:
        part: Machine and section.
        clips: Rows of the section in the submission, int (clips,).
        counted: bool (clips,).
    """

    part: _Part
    clips: NDArray[np.int64]
    counted: NDArray[np.bool_]


def compare_submissions(
    a: Sequence[Submission], b: Sequence[Submission], *, year: int, draws: int = 1000, seed: int = 0
) -> BootstrapDifference:
    """Compares the mean AUC of the challenge's rules, over machines, sections and domains.

    Clips are resampled, normal and anomalous ones of a section's domain each by themselves, the same for all runs.

    Args:
        a: Runs of method a.
        b: Runs of method b; clips in the order of the first of a (see `in_order_of`).
        year: Whose rules apply.
        draws: Number of resampled sets.
        seed: Of the resampling.

    Raises:
        ValueError: As in `evaluate_dcase`.
    """
    first = a[0]
    figure_a, figure_b = (float(np.mean([_official_auc(run, year) for run in runs])) for runs in (a, b))
    is_anomaly = np.array(first.is_anomaly, bool)
    rows = _rows(first, is_anomaly, year)
    times = _drawn(first, is_anomaly, draws, seed)
    differences = np.zeros(draws)
    for sign, runs in ((1, a), (-1, b)):
        for run in runs:
            scores = np.array(run.scores)
            aucs = [
                _aucs(scores[row.clips], is_anomaly[row.clips], times[:, row.clips] * row.counted)
                for row in rows
            ]
            differences += sign / len(runs) * _mean(aucs, [row.part[0] for row in rows], year)
    return BootstrapDifference.of_draws((figure_a, figure_b), differences)


def in_order_of(first: Submission, other: Submission) -> Submission:
    """The same submission with the clips in the order of another.

    Raises:
        ValueError: They differ in their clips or labels; names the first that does.
    """
    row_of = {key: row for row, key in enumerate(other.keys)}
    if missing := [key for key in first.keys if key not in row_of]:
        raise ValueError(f"no score for {missing[0]} and {len(missing) - 1} others")
    if len(other.keys) > len(first.keys):
        known = set(first.keys)
        more = [key for key in other.keys if key not in known]
        raise ValueError(f"scores {more[0]} and {len(more) - 1} more")
    rows = [row_of[key] for key in first.keys]
    names = ("scores", "is_anomaly", "machine", "section", "domain", "keys")
    ordered = Submission(other.year, **{name: [getattr(other, name)[row] for row in rows] for name in names})
    for at, key in enumerate(first.keys):
        if (ordered.is_anomaly[at], ordered.domain[at]) != (first.is_anomaly[at], first.domain[at]):
            raise ValueError(f"has another label or domain for {key}")
    return ordered


def _official_auc(run: Submission, year: int) -> float:
    return evaluate_dcase(
        run.scores,
        run.is_anomaly,
        machine=run.machine,
        section=run.section,
        domain=run.domain,
        year=year,
    ).summary["auc"]


def _rows(run: Submission, is_anomaly: NDArray[np.bool_], year: int) -> list[_Row]:
    """One a machine, section and, since 2021, domain, where both classes are there."""
    parts: defaultdict[_Part, list[int]] = defaultdict(list)
    for row, part in enumerate(zip(run.machine, run.section, strict=True)):
        parts[part].append(row)
    domains = np.array(run.domain) if year > 2020 else np.full(len(is_anomaly), "")
    rows = []
    for part, members in parts.items():
        clips = np.array(members)
        for domain in np.unique(domains[clips]):
            inside = domains[clips] == domain
            counted = inside | is_anomaly[clips] if year > 2021 else inside
            if 0 < is_anomaly[clips][counted].sum() < counted.sum():
                rows.append(_Row(part, clips, counted))
    return rows


def _drawn(run: Submission, is_anomaly: NDArray[np.bool_], draws: int, seed: int) -> NDArray[np.int64]:
    """How often each clip is drawn, (draw, clip)."""
    rng = np.random.default_rng(seed)
    strata: defaultdict[tuple[str, str, str, bool], list[int]] = defaultdict(list)
    for row, stratum in enumerate(
        zip(run.machine, run.section, run.domain, is_anomaly.tolist(), strict=True)
    ):
        strata[stratum].append(row)
    times = np.zeros((draws, len(is_anomaly)), np.int64)
    for clips in strata.values():
        times[:, clips] = rng.multinomial(len(clips), np.full(len(clips), 1 / len(clips)), size=draws)
    return times


def _aucs(
    scores: NDArray[np.float64], is_anomaly: NDArray[np.bool_], times: NDArray[np.int64]
) -> NDArray[np.float64]:
    """AUC of each draw, (draw,): equal scores count one half."""
    order = np.argsort(scores, kind="stable")
    levels = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    drawn = times[:, order]
    anomalous = np.add.reduceat(drawn * is_anomaly[order], levels, axis=1)
    normal = np.add.reduceat(drawn * ~is_anomaly[order], levels, axis=1)
    below = normal.cumsum(axis=1) - normal
    wins = (anomalous * (2 * below + normal)).sum(axis=1)
    return wins / (2 * anomalous.sum(axis=1) * normal.sum(axis=1))


def _mean(aucs: Sequence[NDArray[np.float64]], machines: Sequence[str], year: int) -> NDArray[np.float64]:
    """As `summarise` does it, (draw,)."""
    if year > 2020:
        return 1 / np.mean(1 / np.maximum(aucs, EPSILON), axis=0)
    by_machine = {
        machine: [auc for auc, each in zip(aucs, machines, strict=True) if each == machine]
        for machine in dict.fromkeys(machines)
    }
    return np.mean([np.mean(each, axis=0) for each in by_machine.values()], axis=0)
