"""Architecture-agnostic detection cost (a-DCF) of spoofing-robust speaker verification (Shim et al., Odyssey 2024)."""

from dataclasses import dataclass

from numpy.typing import ArrayLike
from torch import Tensor

from lightning_modules.metrics.functional import tandem
from lightning_modules.metrics.functional.verification import (
    TrialKind,
    as_verification_trials,
    verification_curve,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationCosts:
    """Priors and costs of the a-DCF; the defaults are those of its paper and of its published code.

    Attributes:
        p_target: Prior of targets.
        p_nontarget: Prior of nontargets.
        p_spoof: Prior of spoofed trials; the three sum to 1.
        miss: Cost of a target rejected.
        false_alarm: Cost of a nontarget accepted.
        spoof_false_alarm: Cost of a spoofed trial accepted.

    Raises:
        ValueError: A prior or cost is negative, or the priors do not sum to 1.
    """

    p_target: float = 0.9
    p_nontarget: float = 0.05
    p_spoof: float = 0.05
    miss: float = 1.0
    false_alarm: float = 10.0
    spoof_false_alarm: float = 20.0

    def __post_init__(self) -> None:
        priors = (self.p_target, self.p_nontarget, self.p_spoof)
        if (
            min(*priors, self.miss, self.false_alarm, self.spoof_false_alarm) < 0
            or abs(sum(priors) - 1) > 1e-9
        ):
            raise ValueError(f"{self}: priors and costs must not be negative, and the priors must sum to 1")

    def normalised(self, miss: Tensor, false_alarm: Tensor, spoof_false_alarm: Tensor) -> Tensor:
        """Cost of the error rates, relative to the better of accepting all and rejecting all."""
        reject_all = self.miss * self.p_target
        accept_nontargets, accept_spoofs = (
            self.false_alarm * self.p_nontarget,
            self.spoof_false_alarm * self.p_spoof,
        )
        cost = reject_all * miss + accept_nontargets * false_alarm + accept_spoofs * spoof_false_alarm
        return cost / min(reject_all, accept_nontargets + accept_spoofs)


# Track 2 of ASVspoof 5 does not take the defaults of the a_dcf.py that lies in its package, but those of its t-DCF.
ASVSPOOF5_COSTS = VerificationCosts(
    p_target=tandem.P_TARGET,
    p_nontarget=tandem.P_NONTARGET,
    p_spoof=tandem.P_SPOOF,
    miss=tandem.COST_MISS,
    false_alarm=tandem.COST_FALSE_ALARM,
    spoof_false_alarm=tandem.COST_SPOOF_ACCEPTED,
)


def min_a_dcf(
    scores: Tensor | ArrayLike, kinds: Tensor | ArrayLike, *, costs: VerificationCosts = VerificationCosts()
) -> tuple[Tensor, Tensor]:
    """Minimum normalised a-DCF over all thresholds, those that accept all and reject all among them.

    Args:
        scores: (trials,), one score of the whole system, higher means accept.
        kinds: `TrialKind` of each, int (trials,).
        costs: Priors and costs; track 2 of ASVspoof 5 takes `ASVSPOOF5_COSTS`.

    Returns:
        The cost, in [0, 1], and its threshold; float64 scalars.

    Raises:
        ValueError: As in `as_verification_trials`.

    Example:
        >>> cost, threshold = min_a_dcf([2.0, 1.0, 0.0, 1.5], [1, 1, 2, 0])
        >>> round(float(cost), 4), float(threshold)
        (0.5, 1.5)
    """
    miss, false_alarm, spoof_false_alarm, threshold = verification_curve(scores, kinds)
    cost = costs.normalised(miss, false_alarm, spoof_false_alarm)
    at = cost.argmin()
    return cost[at], threshold[at]


def act_a_dcf(
    scores: Tensor | ArrayLike,
    kinds: Tensor | ArrayLike,
    *,
    threshold: Tensor | float,
    costs: VerificationCosts = VerificationCosts(),
) -> Tensor:
    """Normalised a-DCF of decisions at a threshold, e.g. one found on development trials.

    Args:
        scores: (trials,), one score of the whole system, higher means accept.
        kinds: `TrialKind` of each, int (trials,).
        threshold: Scores at or above it are accepted.
        costs: Priors and costs.

    Returns:
        float64 scalar, 0 at best; above 1 it is worse than accepting all or rejecting all.

    Raises:
        ValueError: As in `as_verification_trials`.
    """
    scores, kinds = as_verification_trials(scores, kinds)
    accepted = (scores >= threshold).double()
    target, nontarget, spoof = (
        accepted[kinds == kind].mean() for kind in (TrialKind.TARGET, TrialKind.NONTARGET, TrialKind.SPOOF)
    )
    return costs.normalised(1 - target, nontarget, spoof)
