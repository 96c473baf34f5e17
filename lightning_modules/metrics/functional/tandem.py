"""Tandem detection cost function (t-DCF): what spoofing detector and speaker verification cost together."""

from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from lightning_modules.metrics.functional.error_rates import DetCurve, det_curve, equal_error_rate

# Priors and costs of the ASVspoof 2019 and 2021 evaluation plans; the costs of both revisions are equal.
P_SPOOF = 0.05
P_TARGET = (1 - P_SPOOF) * 0.99
P_NONTARGET = (1 - P_SPOOF) * 0.01
COST_MISS = 1.0
COST_FALSE_ALARM = 10.0
COST_SPOOF_ACCEPTED = 10.0


@dataclass(frozen=True, slots=True)
class AsvErrorRates:
    """Error rates of the speaker verification behind the detector, at its own EER threshold; fractions.

    Attributes:
        miss: Target speakers rejected.
        false_alarm: Other speakers accepted.
        spoof_false_alarm: Spoofed trials accepted.
    """

    miss: float
    false_alarm: float
    spoof_false_alarm: float

    def costs(self, *, revision: int) -> tuple[float, float, float]:
        """C0, C1 and C2 of t-DCF = C0 + C1 miss + C2 false alarm; C0 is 0 in the 2019 revision.

        Raises:
            ValueError: The revision is neither 2019 nor 2021, or C1 is negative (verification too poor).
        """
        if revision not in (2019, 2021):
            raise ValueError(f"t-DCF revision is {revision!r}, expected 2019 (legacy) or 2021 (revised)")
        c0 = P_TARGET * COST_MISS * self.miss + P_NONTARGET * COST_FALSE_ALARM * self.false_alarm
        c1 = P_TARGET * COST_MISS - c0
        c2 = P_SPOOF * COST_SPOOF_ACCEPTED * self.spoof_false_alarm
        if c1 < 0:
            raise ValueError(
                f"t-DCF weight C1 is {c1:.4f} < 0: the ASV error rates (miss {self.miss:.4f}, false alarm "
                f"{self.false_alarm:.4f}) are too high for the cost model; check the ASV scores' polarity"
            )
        return (c0 if revision == 2021 else 0.0), c1, c2


# Of the organisers' verification system on the evaluation trials of ASVspoof 5, as its package has them built in.
ASVSPOOF5_ASV = AsvErrorRates(
    miss=0.01880141010575793, false_alarm=0.01881016557566423, spoof_false_alarm=0.4607082907604729
)


def asv_error_rates(
    target_scores: Tensor | ArrayLike,
    nontarget_scores: Tensor | ArrayLike,
    spoof_scores: Tensor | ArrayLike,
    *,
    threshold: Tensor | float | None = None,
) -> AsvErrorRates:
    """Error rates of a speaker verification system.

    Args:
        target_scores: (targets,), trials of the claimed speaker; higher means accept.
        nontarget_scores: (nontargets,), bona fide trials of other speakers.
        spoof_scores: (spoofs,), spoofed trials.
        threshold: Scores at or above it are accepted. None is the EER point of target against nontarget.

    Raises:
        ValueError: A class is empty, or a score is NaN or infinite.
    """
    target, nontarget, spoof = (
        torch.as_tensor(each, dtype=torch.float64) for each in (target_scores, nontarget_scores, spoof_scores)
    )
    if min(len(target), len(nontarget), len(spoof)) == 0 or not bool(spoof.isfinite().all()):
        raise ValueError(
            f"ASV scores hold {len(target)} target, {len(nontarget)} nontarget and {len(spoof)} spoof "
            "trials: each class needs one or more, all finite"
        )
    threshold = asv_threshold(target, nontarget) if threshold is None else threshold
    return AsvErrorRates(
        miss=float((target < threshold).double().mean()),
        false_alarm=float((nontarget >= threshold).double().mean()),
        spoof_false_alarm=float((spoof >= threshold).double().mean()),
    )


def asv_threshold(target: Tensor, nontarget: Tensor) -> Tensor:
    """EER point of the scores of (targets,) against (nontargets,)."""
    is_target = torch.arange(len(target) + len(nontarget), device=target.device) < len(target)
    return equal_error_rate(torch.cat([target, nontarget]), is_target)[1]


def min_tdcf(
    scores: Tensor | ArrayLike,
    is_positive: Tensor | ArrayLike,
    *,
    asv: AsvErrorRates,
    revision: int = 2019,
) -> Tensor:
    """Minimum normalised t-DCF over all thresholds.

    2019 (legacy): (C1 miss + C2 false alarm) / min(C1, C2), 0 for a perfect detector. 2021 (revised; Kinnunen
    et al. 2020, eq. 10-11): (C0 + C1 miss + C2 false alarm) / (C0 + min(C1, C2)), which never falls below
    what verification alone costs. A detector at 1 is useless.

    Args:
        scores: (trials,), higher means bona fide.
        is_positive: bool (trials,), True where bona fide.
        asv: Error rates of the verification system of the same condition.
        revision: 2019 or 2021; the numbers of the two are not comparable.

    Returns:
        float64 scalar, at most 1 (NaN where the 2019 form divides by zero: verification stops every spoof).

    Raises:
        ValueError: As in `as_trials`; fewer than three distinct scores, which are decisions; as in `costs`.
    """
    return min_tdcf_of_curve(det_curve(scores, is_positive), asv=asv, revision=revision)


def min_tdcf_of_curve(curve: DetCurve, *, asv: AsvErrorRates, revision: int = 2019) -> Tensor:
    """Minimum normalised t-DCF of a curve, see `min_tdcf`."""
    c0, c1, c2 = asv.costs(revision=revision)
    miss, false_alarm, threshold = curve
    num_distinct = 1 + int((threshold[2:] != threshold[1:-1]).sum())
    if num_distinct < 3:
        raise ValueError(f"only {num_distinct} distinct scores: t-DCF needs soft scores, not decisions")
    return ((c0 + c1 * miss + c2 * false_alarm) / (c0 + min(c1, c2))).min()
