"""Evaluation of a spoofing detector as the ASVspoof challenges do it: pooled, per attack, per codec."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_modules.metrics.asv_scores import AsvScores
from lightning_modules.metrics.breakdown import Condition, Factor, Groups, conditions
from lightning_modules.metrics.functional import (
    AsvErrorRates,
    EerRule,
    act_dcf,
    bootstrap_intervals,
    cllr,
    eer_of_curve,
    equal_error_rate,
    min_dcf,
    min_dcf_of_curve,
    min_tdcf,
    min_tdcf_of_curve,
)


@dataclass(frozen=True, slots=True)
class ScoreArrays:
    """One score for each trial of a partition, higher = bona fide, and what results are grouped by."""

    scores: Tensor | NDArray
    groups: Groups


@dataclass(frozen=True, slots=True)
class Result:
    """Metrics of one condition, NaN where undefined; rates are fractions in [0, 1].

    Attributes:
        condition: Factor name -> value; empty is pooled.
        num_bonafide: Bona fide trials.
        num_spoof: Spoofed trials.
        eer: Equal error rate.
        threshold: Score at which it is reached.
        min_tdcf: Minimum tandem detection cost, with the ASV error rates of the same condition.
        min_dcf: Minimum detection cost of ASVspoof 5.
        act_dcf: Detection cost at the Bayes threshold, for log likelihood ratios.
        cllr: Cost of log likelihood ratios, in bits.
    """

    condition: dict[str, str]
    num_bonafide: int
    num_spoof: int
    eer: float = math.nan
    threshold: float = math.nan
    min_tdcf: float = math.nan
    min_dcf: float = math.nan
    act_dcf: float = math.nan
    cllr: float = math.nan


def evaluate(
    trials: ScoreArrays,
    *,
    asv: AsvScores | AsvErrorRates | None = None,
    revision: int = 2019,
    eer_rule: EerRule = "asvspoof",
    rows: Sequence[Factor] = (Factor("attack", "spoof"),),
    across: Sequence[Factor] = (Factor("codec"),),
) -> list[Result]:
    """Computes every metric pooled, for each value of each factor, and for rows crossed with columns.

    Args:
        trials: Scores, labels and group columns; factors that the columns lack, or that have a single value,
            are left out.
        asv: ASV scores, from which each condition takes the error rates of its own trials where they name its
            attack or codec; or error rates for all conditions alike; or None for no t-DCF.
        revision: Of the t-DCF, 2019 or 2021.
        eer_rule: As in `equal_error_rate`.
        rows: Factors of the table's rows.
        across: Factors of its columns.

    Raises:
        ValueError: The pooled trials allow no metric: one class only, a score that is not finite, ASV scores
            without a target, nontarget or spoof trial.
    """
    scores = torch.as_tensor(trials.scores, dtype=torch.float64)
    is_bonafide = torch.from_numpy(trials.groups.is_bonafide)
    results = []
    for condition in conditions(trials.groups, rows, across):
        members = torch.from_numpy(trials.groups.members(condition))
        if isinstance(asv, AsvScores):  # pooled, an uncovered kind of trial is a fault of the file
            rates = asv.error_rates(condition) if not condition or asv.covers(condition) else None
        else:
            rates = asv
        results.append(_result(scores[members], is_bonafide[members], condition, rates, revision, eer_rule))
    return results


def _result(
    scores: Tensor,
    is_bonafide: Tensor,
    condition: Condition,
    rates: AsvErrorRates | None,
    revision: int,
    eer_rule: EerRule,
) -> Result:
    named = {factor.name: value for factor, value in condition}
    num_bonafide = int(is_bonafide.sum())
    num_spoof = len(scores) - num_bonafide
    if condition and not (num_bonafide and num_spoof):
        return Result(named, num_bonafide, num_spoof)
    eer, threshold = equal_error_rate(scores, is_bonafide, rule=eer_rule)
    soft = not condition or len(scores.unique()) > 2
    tdcf = min_tdcf(scores, is_bonafide, asv=rates, revision=revision) if rates and soft else math.nan
    return Result(
        named,
        num_bonafide,
        num_spoof,
        eer=float(eer),
        threshold=float(threshold),
        min_tdcf=float(tdcf),
        min_dcf=float(min_dcf(scores, is_bonafide)),
        act_dcf=float(act_dcf(scores, is_bonafide)),
        cllr=float(cllr(scores, is_bonafide)),
    )


def pooled_intervals(
    trials: ScoreArrays,
    *,
    asv: AsvScores | AsvErrorRates | None = None,
    revision: int = 2019,
    eer_rule: EerRule = "asvspoof",
    draws: int = 1000,
) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals of the pooled EER, min DCF and, with ASV scores, min t-DCF."""
    rates = asv.error_rates() if isinstance(asv, AsvScores) else asv
    metrics = {"eer": lambda curve: eer_of_curve(curve, rule=eer_rule)[0], "min_dcf": min_dcf_of_curve}
    if rates is not None:
        metrics["min_tdcf"] = partial(min_tdcf_of_curve, asv=rates, revision=revision)
    return bootstrap_intervals(metrics, trials.scores, trials.groups.is_bonafide, draws=draws)
