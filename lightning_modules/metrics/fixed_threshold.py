"""Error rates at a threshold that other trials gave, which sets of one class have too."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lightning_modules.metrics.asvspoof_evaluation import ScoreArrays
from lightning_modules.metrics.breakdown import Factor, conditions


@dataclass(frozen=True, slots=True)
class RatesAtThreshold:
    """Error rates of one condition, fractions in [0, 1]; NaN where it has no trial of the class.

    Attributes:
        condition: Factor name -> value; empty is pooled.
        num_bonafide: Bona fide trials.
        num_spoof: Spoofed trials.
        miss: Fraction of bona fide trials that are rejected.
        one_minus_srr: Fraction of spoofed trials that are accepted: 1 - the spoof rejection rate.
    """

    condition: dict[str, str]
    num_bonafide: int
    num_spoof: int
    miss: float
    one_minus_srr: float


def rates_at(
    trials: ScoreArrays, threshold: float, *, rows: Sequence[Factor], across: Sequence[Factor]
) -> list[RatesAtThreshold]:
    """Error rates pooled and of each condition of `evaluate`.

    Rejected is what lies below the threshold, as in `spoof_rejection_rate`.
    """
    rejected = np.asarray(trials.scores) < threshold
    is_bonafide = trials.groups.is_bonafide
    found = []
    for condition in conditions(trials.groups, rows, across):
        members = trials.groups.members(condition)
        bonafide, spoof = rejected[members & is_bonafide], rejected[members & ~is_bonafide]
        found.append(
            RatesAtThreshold(
                {factor.name: value for factor, value in condition},
                len(bonafide),
                len(spoof),
                miss=float(bonafide.mean()) if len(bonafide) else math.nan,
                one_minus_srr=float((~spoof).mean()) if len(spoof) else math.nan,
            )
        )
    return found
