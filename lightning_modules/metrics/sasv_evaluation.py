"""Evaluation of spoofing-robust speaker verification as track 2 of ASVspoof 5 does it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_modules.metrics.breakdown import Condition, Groups, conditions
from lightning_modules.metrics.functional import (
    ASVSPOOF5_ASV,
    ASVSPOOF5_COSTS,
    AsvErrorRates,
    TrialKind,
    VerificationCosts,
    asv_error_rates,
    min_a_dcf,
    min_tdcf,
    tandem_eer,
)
from lightning_modules.metrics.sasv_files import SasvKey


@dataclass(frozen=True, slots=True)
class SasvResult:
    """Metrics of one condition, NaN where undefined or where a score is missing; rates are fractions in [0, 1].

    Attributes:
        condition: Factor name -> value; empty is pooled.
        num_target: Trials of the claimed speaker.
        num_nontarget: Bona fide trials of other speakers.
        num_spoof: Spoofed trials.
        min_a_dcf: Minimum a-DCF of the system's score.
        threshold: Score at which it is reached.
        t_eer: Concurrent tandem equal error rate of the scores of verification and detector.
        asv_threshold: Threshold of verification where it is reached.
        cm_threshold: Threshold of the detector there.
        min_tdcf: Minimum tandem detection cost of the detector, revision 2021.
    """

    condition: dict[str, str]
    num_target: int
    num_nontarget: int
    num_spoof: int
    min_a_dcf: float = math.nan
    threshold: float = math.nan
    t_eer: float = math.nan
    asv_threshold: float = math.nan
    cm_threshold: float = math.nan
    min_tdcf: float = math.nan


def evaluate_sasv(
    scores: Mapping[str, Tensor],
    key: SasvKey,
    *,
    asv_scores: Tensor | None = None,
    costs: VerificationCosts = ASVSPOOF5_COSTS,
) -> list[SasvResult]:
    """Computes every metric that the scores allow, pooled, for each attack and codec, and for both.

    Args:
        scores: Of ``cm-score``, ``asv-score`` and ``sasv-score`` those that there are, each (trials,) as the key's
            chosen trials.
        key: What the trials are.
        asv_scores: (trials,), of the verification system whose error rates weigh the t-DCF, by its own trials of each
            condition. None takes the rates that the official package has built in, of the evaluation trials.
        costs: Of the a-DCF.

    Raises:
        ValueError: The pooled trials lack a kind, or allow no t-DCF.
    """
    chosen = key.protocol.chosen
    columns = {name: column[chosen] for name, column in key.protocol.columns.items()}
    groups = Groups(columns, key.protocol.is_bonafide[chosen])
    kinds = key.chosen_kinds
    results = []
    for condition in conditions(groups, key.protocol.layout.rows, key.protocol.layout.across):
        members = torch.from_numpy(groups.members(condition))
        of_condition = {name: column[members] for name, column in scores.items()}
        rates = ASVSPOOF5_ASV
        if asv_scores is not None:
            rates = _error_rates(asv_scores[members], kinds[members])
        results.append(_result(of_condition, kinds[members], condition, rates, costs))
    return results


def _result(
    scores: Mapping[str, Tensor],
    kinds: Tensor,
    condition: Condition,
    rates: AsvErrorRates | None,
    costs: VerificationCosts,
) -> SasvResult:
    spoof, target, nontarget = kinds.bincount(minlength=len(TrialKind)).tolist()
    named = {factor.name: value for factor, value in condition}
    found: dict[str, Tensor] = {}
    if not condition or min(spoof, target, nontarget):
        if "sasv-score" in scores:
            found["min_a_dcf"], found["threshold"] = min_a_dcf(scores["sasv-score"], kinds, costs=costs)
        if {"cm-score", "asv-score"} <= set(scores):
            names = ("t_eer", "asv_threshold", "cm_threshold")
            found |= zip(names, tandem_eer(scores["asv-score"], scores["cm-score"], kinds), strict=True)
        if "cm-score" in scores and rates and (not condition or len(scores["cm-score"].unique()) > 2):
            is_bonafide = kinds != TrialKind.SPOOF
            found["min_tdcf"] = min_tdcf(scores["cm-score"], is_bonafide, asv=rates, revision=2021)
    return SasvResult(named, target, nontarget, spoof, **{name: float(each) for name, each in found.items()})


def _error_rates(scores: Tensor, kinds: Tensor) -> AsvErrorRates | None:
    """Error rates of verification; None where a kind has no trial."""
    by_kind = [scores[kinds == kind] for kind in (TrialKind.TARGET, TrialKind.NONTARGET, TrialKind.SPOOF)]
    return asv_error_rates(*by_kind) if all(map(len, by_kind)) else None
