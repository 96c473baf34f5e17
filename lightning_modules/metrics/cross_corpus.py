"""Error rates over several corpora, in NumPy alone: a table of them is made before torch would be imported."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightning_modules.metrics.trial_table import Trials


class Point(NamedTuple):
    """An operating point.

    Attributes:
        eer: Mean of miss and false-alarm rate there, a fraction.
        threshold: The score after which the rates hold.
    """

    eer: float
    threshold: float


def equal_error_point(trials: Trials) -> Point:
    """The equal error rate and its threshold, to the bit those of `functional.equal_error_rate`.

    Raises:
        ValueError: A class has no trial.
    """
    bonafide, spoof = (np.sort(trials.scores[chosen]) for chosen in (trials.is_bonafide, ~trials.is_bonafide))
    if not (len(bonafide) and len(spoof)):
        raise ValueError("an equal error rate needs trials of both classes")

    # Among equals bona fide trials are rejected first. From point to point miss - false alarm only rises.
    def after_bonafide(at: int) -> tuple[float, float]:
        return (at + 1) / len(bonafide), (len(spoof) - int(np.searchsorted(spoof, bonafide[at]))) / len(spoof)

    def after_spoof(at: int) -> tuple[float, float]:
        rejected = int(np.searchsorted(bonafide, spoof[at], side="right"))
        return rejected / len(bonafide), (len(spoof) - at - 1) / len(spoof)

    lowest = min(bonafide[0], spoof[0]) - 0.001
    points = [(0.0, 1.0, float(lowest))]
    for scores, after in ((bonafide, after_bonafide), (spoof, after_spoof)):
        crossing = bisect_left(range(len(scores)), 0, key=lambda at, after=after: np.subtract(*after(at)))
        around = range(max(crossing - 1, 0), min(crossing + 1, len(scores)))
        points += [(*after(at), float(scores[at])) for at in around]
    # the first of equally good ones, as a threshold climbs
    miss, false_alarm, threshold = min(points, key=lambda each: (abs(each[0] - each[1]), each[0] - each[1]))
    return Point((miss + false_alarm) / 2, threshold)


def pooled(several: Iterable[Trials]) -> Trials:
    """All trials together: one threshold decides on every corpus."""
    scores, is_bonafide = zip(*several, strict=True)
    return Trials(np.concatenate(scores), np.concatenate(is_bonafide))


def accepted(trials: Trials, threshold: float) -> float:
    """Share of the trials that reach a threshold from elsewhere, and so count as bona fide.

    Of spoofed trials it is the false acceptance, 1 - SRR (spoof rejection rate).
    """
    return float((trials.scores >= threshold).mean())


def breakdown(
    trials: Trials, groups: Sequence[str], threshold: float
) -> list[Mapping[str, str | int | float]]:
    """A row a group, sorted by name: its trials, its own EER, its errors at a threshold of all; NaN where undefined.

    Args:
        trials: The scores.
        groups: Which each trial is of, e.g. its speaker.
        threshold: See `Point`.
    """
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group, minlength=len(names)))[:-1]
    parts = zip(np.split(trials.scores[order], ends), np.split(trials.is_bonafide[order], ends), strict=True)
    return [_row(str(name), Trials(*part), threshold) for name, part in zip(names, parts, strict=True)]


def _row(name: str, trials: Trials, threshold: float) -> Mapping[str, str | int | float]:
    bonafide, spoof = (_part(trials, chosen) for chosen in (trials.is_bonafide, ~trials.is_bonafide))
    sides = len(bonafide.scores), len(spoof.scores)
    return {
        "condition": name,
        "bona fide": sides[0],
        "spoof": sides[1],
        "EER %": 100 * equal_error_point(trials).eer if all(sides) else np.nan,
        "bona fide rejected %": 100 * (1 - accepted(bonafide, threshold)) if sides[0] else np.nan,
        "spoof accepted %": 100 * accepted(spoof, threshold) if sides[1] else np.nan,
    }


def _part(trials: Trials, chosen: NDArray[np.bool_]) -> Trials:
    return Trials(trials.scores[chosen], trials.is_bonafide[chosen])
