"""Tandem equal error rate (t-EER) of a spoofing detector and speaker verification (Kinnunen et al., TPAMI 2023)."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from lightning_modules.metrics.functional.error_rates import DetCurve, det_curve
from lightning_modules.metrics.functional.verification import TrialKind, VerificationCurve, verification_curve


class TandemEer(NamedTuple):
    """A t-EER and the two thresholds where it is reached; float64 scalars, or (path,) each of a whole path."""

    eer: Tensor
    asv_threshold: Tensor
    cm_threshold: Tensor


def tandem_eer(
    asv_scores: Tensor | ArrayLike,
    cm_scores: Tensor | ArrayLike,
    kinds: Tensor | ArrayLike,
    *,
    p_spoof: float = 0.5,
) -> TandemEer:
    """Concurrent t-EER: where misses, accepted nontargets and accepted spoofs of the tandem are equally frequent.

    A trial is accepted where both systems accept it, independently of each other.

    Args:
        asv_scores: (trials,), of speaker verification, higher means the claimed speaker.
        cm_scores: (trials,), of the spoofing detector, higher means bona fide.
        kinds: `TrialKind` of each, int (trials,).
        p_spoof: Prior of spoofs among trials that are no targets, in [0, 1], of the path that is walked. In the limit
            of many trials it does not matter; the official packages report 0.5.

    Returns:
        The rate, a fraction in [0, 1], and its thresholds; NaN where the path meets no such point, as with a handful of
        trials.

    Raises:
        ValueError: `p_spoof` out of range, or as in `verification_curve`.
    """
    return tandem_eer_of_curves(*_curves(asv_scores, cm_scores, kinds), p_spoof=p_spoof)


def tandem_eer_path(
    asv_scores: Tensor | ArrayLike,
    cm_scores: Tensor | ArrayLike,
    kinds: Tensor | ArrayLike,
    *,
    p_spoof: float = 0.5,
) -> TandemEer:
    """All pairs of thresholds where the tandem misses as much as it falsely accepts.

    Args:
        asv_scores: As in `tandem_eer`.
        cm_scores: As in `tandem_eer`.
        kinds: As in `tandem_eer`.
        p_spoof: As in `tandem_eer`; here it matters.

    Returns:
        For each threshold of speaker verification, rising, the rate and the detector's threshold, float64 (path,)
        each. Thresholds where verification alone misses more than it accepts are left out: nothing balances them.

    Raises:
        ValueError: As in `tandem_eer`.
    """
    asv, cm = _curves(asv_scores, cm_scores, kinds)
    asv, at = _balanced(asv, cm, p_spoof)
    miss, false_alarm = _tandem_rates(asv, cm, at, p_spoof)
    return TandemEer((false_alarm + miss) / 2, asv.threshold, cm.threshold[at])


def tandem_eer_of_curves(asv: VerificationCurve, cm: DetCurve, *, p_spoof: float = 0.5) -> TandemEer:
    """Concurrent t-EER of curves, which may stand on different trials; see `tandem_eer`."""
    asv, at = _balanced(asv, cm, p_spoof)
    accepted_spoofs = cm.false_alarm[at]
    gap = (asv.false_alarm / asv.spoof_false_alarm - accepted_spoofs / (1 - cm.miss[at])).abs()
    gap = gap.masked_fill(gap.isnan(), torch.inf)  # 0 / 0: nothing is accepted
    best = gap.argmin()
    if bool(gap[best].isinf()):
        return TandemEer(*gap.new_full((3,), torch.nan))
    return TandemEer(
        asv.spoof_false_alarm[best] * accepted_spoofs[best], asv.threshold[best], cm.threshold[at[best]]
    )


def _curves(
    asv_scores: Tensor | ArrayLike, cm_scores: Tensor | ArrayLike, kinds: Tensor | ArrayLike
) -> tuple[VerificationCurve, DetCurve]:
    asv = verification_curve(asv_scores, kinds)
    is_bonafide = torch.as_tensor(kinds) != TrialKind.SPOOF
    return asv, det_curve(cm_scores, is_bonafide)


def _balanced(asv: VerificationCurve, cm: DetCurve, p_spoof: float) -> tuple[VerificationCurve, Tensor]:
    """Points of verification that can be balanced, and for each the detector's point that does it best.

    The tandem's misses less its false alarms never fall along the detector's curve, so that the point of least
    difference, the first of equals, lies beside the change of sign, which bisection finds for all points at once.

    Raises:
        ValueError: `p_spoof` is no probability.
    """
    if not 0 <= p_spoof <= 1:
        raise ValueError(f"p_spoof={p_spoof} must be a probability between 0 and 1")
    accepted = (1 - p_spoof) * asv.false_alarm + p_spoof * asv.spoof_false_alarm
    asv = VerificationCurve(*(each[asv.miss < accepted] for each in asv))

    def excess(at: Tensor, of: Tensor | slice = slice(None)) -> Tensor:
        miss, false_alarm = _tandem_rates(VerificationCurve(*(each[of] for each in asv)), cm, at, p_spoof)
        return miss - false_alarm

    end = torch.full_like(asv.miss, len(cm.miss) - 1, dtype=torch.int64)
    above = _first(
        lambda at: excess(at) >= 0, end
    )  # never 0: accepting all, the detector leaves the excess below 0
    below = above - 1
    highest = excess(below)
    level = (excess((below - 1).clamp(min=0)) == highest).nonzero().squeeze(1)  # mostly none
    below[level] = _first(lambda at: excess(at, level) >= highest[level], below[level])
    return asv, torch.where(highest.abs() <= excess(above).abs(), below, above)


def _tandem_rates(asv: VerificationCurve, cm: DetCurve, at: Tensor, p_spoof: float) -> tuple[Tensor, Tensor]:
    """Miss and false alarm rates of the tandem, with the detector's point `at` for each of verification.

    The order of operations is that of the published code: points that balance equally well are told apart by
    its rounding.
    """
    cm_miss, cm_false_alarm = cm.miss[at], cm.false_alarm[at]
    miss = cm_miss + (1 - cm_miss) * asv.miss
    accepted_nontargets = (1 - p_spoof) * (1 - cm_miss) * asv.false_alarm
    return miss, accepted_nontargets + p_spoof * cm_false_alarm * asv.spoof_false_alarm


def _first(holds: Callable[[Tensor], Tensor], end: Tensor) -> Tensor:
    """The least index in [0, end] from which `holds` holds, elementwise; at `end` it does."""
    low, high = torch.zeros_like(end), end.clone()
    while bool((low < high).any()):
        middle = (low + high) // 2
        found = holds(middle)
        low, high = torch.where(found, low, (middle + 1).minimum(high)), torch.where(found, middle, high)
    return low
