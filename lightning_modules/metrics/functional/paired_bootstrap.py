"""Whether one detector is better than another on the same trials: bootstrap of the difference of a figure."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lightning_modules.metrics.functional.bootstrap import drawn_counts
from lightning_modules.metrics.functional.detection_cost import min_dcf_of_curve
from lightning_modules.metrics.functional.error_rates import DetCurve, as_trials


@dataclass(frozen=True, kw_only=True)
class BootstrapDifference:
    """The difference of two methods' figures, each the mean over the runs of the method.

    Attributes:
        figure: Of a and of b.
        difference: That of a minus that of b.
        interval: Its 95 % percentile interval, if other trials were drawn and the trained networks kept.
        p: Two-sided, that it is 0; n draws reach 2 / (n + 1) at best.
    """

    figure: tuple[float, float]
    difference: float
    interval: tuple[float, float]
    p: float

    @classmethod
    def of_draws(cls, figure: tuple[float, float], drawn: ArrayLike) -> "BootstrapDifference":
        """From the figures of a and b on all trials and their differences on resampled ones, (draw,)."""
        differences = np.asarray(drawn)
        low, high = np.quantile(differences, (0.025, 0.975)).tolist()
        less = min((differences <= 0).sum(), (differences >= 0).sum()) + 1
        return cls(
            figure=figure,
            difference=figure[0] - figure[1],
            interval=(low, high),
            p=min(1.0, 2 * float(less) / (len(differences) + 1)),
        )


class _Ranked(NamedTuple):
    """One run's trials by rising score.

    Attributes:
        positives: Bona fide trials, as numbers among their class, int64 (positives,).
        negatives: Spoofed trials, int64 (negatives,).
        below: How many of the spoofed trials lie below each bona fide one, int64 (positives,).
        through: How many lie below or beside it.
    """

    positives: Tensor
    negatives: Tensor
    below: Tensor
    through: Tensor


class _Counts(NamedTuple):
    """How many trials were drawn of the first 0, 1, 2, ... by rising score, int64 (of the class + 1,)."""

    positives: Tensor
    negatives: Tensor


def paired_bootstrap(
    metric: str,
    a: ArrayLike,
    b: ArrayLike,
    is_positive: ArrayLike,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> BootstrapDifference:
    """Resamples trials, either class by itself, the same for all runs of both methods.

    Trials are taken as independent. Trials of one speaker are not, so the true interval is somewhat wider.

    Args:
        metric: One of `METRICS`.
        a: (run, trial) scores of method a, higher means positive.
        b: (run, trial) scores of method b on the same trials.
        is_positive: bool (trial,), True where bona fide.
        draws: Number of resampled sets.
        seed: Of the resampling; draws are those of `bootstrap_interval`.

    Raises:
        ValueError: Unknown metric, other shapes, or as in `as_trials`.
    """
    if metric not in METRICS:
        raise ValueError(f"metric {metric!r} is none of {', '.join(METRICS)}")
    if draws < 1:
        raise ValueError(f"draws={draws} must be at least 1")
    value = METRICS[metric]
    labels = torch.as_tensor(np.ascontiguousarray(is_positive)).bool()
    methods = [[_ranked(run, labels) for run in np.atleast_2d(np.ascontiguousarray(runs))] for runs in (a, b)]
    sizes = int(labels.sum()), int((~labels).sum())
    once = [torch.ones(size, dtype=torch.int64) for size in sizes]
    figure_a, figure_b = (_mean(value, runs, once) for runs in methods)
    drawn = np.empty(draws)
    for draw, times in enumerate(drawn_counts(*sizes, draws=draws, seed=seed)):
        drawn[draw] = _mean(value, methods[0], times) - _mean(value, methods[1], times)
    return BootstrapDifference.of_draws((figure_a, figure_b), drawn)


def _ranked(scores: NDArray, is_positive: Tensor) -> _Ranked:
    values, labels = as_trials(scores, is_positive)
    positives, by_positive = values[labels].sort()
    negatives, by_negative = values[~labels].sort()
    below, through = (torch.searchsorted(negatives, positives, right=right) for right in (False, True))
    return _Ranked(by_positive, by_negative, below, through)


def _mean(
    value: Callable[[_Ranked, _Counts], float], runs: Sequence[_Ranked], times: Sequence[Tensor]
) -> float:
    return sum(value(run, _counts(run, times)) for run in runs) / len(runs)


def _counts(run: _Ranked, times: Sequence[Tensor]) -> _Counts:
    counts = []
    for order, drawn in zip((run.positives, run.negatives), times, strict=True):
        counts.append(drawn.new_zeros(len(order) + 1))
        torch.cumsum(drawn[order], 0, out=counts[-1][1:])
    return _Counts(*counts)


def _eer(run: _Ranked, counts: _Counts) -> float:
    """As `equal_error_rate` of the drawn trials, to the bit: the two rates cross within one trial's repetitions."""
    positives, negatives = counts
    num_positive, num_negative = int(positives[-1]), int(negatives[-1])
    every = num_positive * num_negative

    def balance(rejected: int, refused: int) -> int:  # (miss - false alarm + 1) times `every`
        return int(positives[rejected]) * num_negative + int(negatives[refused]) * num_positive

    def before(rank: int) -> int:
        return int(run.below[rank])

    at = bisect_left(range(len(run.below)), every, key=lambda rank: balance(rank + 1, before(rank)))
    refused = before(at)
    in_positive = balance(at, refused) < every
    if not in_positive:
        first = before(at - 1) if at else 0
        refused = first + bisect_left(range(first, refused), every, key=lambda rank: balance(at, rank + 1))
    repeats = -((balance(at, refused) - every) // (num_negative if in_positive else num_positive))
    points = []
    for times in (repeats - 1, repeats):
        missed = int(positives[at]) + times * in_positive
        accepted = num_negative - int(negatives[refused]) - times * (not in_positive)
        points.append((missed / num_positive, accepted / num_negative))
    miss, false_alarm = min(points, key=lambda rates: abs(rates[0] - rates[1]))
    return (miss + false_alarm) / 2


def _min_dcf(run: _Ranked, counts: _Counts) -> float:
    """As `min_dcf`: the cost is least before a bona fide trial, or where all are rejected."""
    positives, negatives = counts
    refused = torch.cat([negatives[run.below], negatives[-1:]])
    miss = positives / positives[-1].double()
    false_alarm = (negatives[-1] - refused) / negatives[-1].double()
    return float(min_dcf_of_curve(DetCurve(miss, false_alarm, miss)))


def _auc(run: _Ranked, counts: _Counts) -> float:
    """As `auc`: equal scores count one half."""
    positives, negatives = counts
    doubled = (positives.diff() * (negatives[run.below] + negatives[run.through])).sum()
    return int(doubled) / (2 * int(positives[-1]) * int(negatives[-1]))


METRICS: Mapping[str, Callable[[_Ranked, _Counts], float]] = {"eer": _eer, "min_dcf": _min_dcf, "auc": _auc}
