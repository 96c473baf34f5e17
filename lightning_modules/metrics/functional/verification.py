"""Trials of spoofing-robust speaker verification: targets against nontargets and against spoofed speech."""

from enum import IntEnum
from typing import NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from lightning_modules.metrics.functional.error_rates import as_scores, check_finite


class TrialKind(IntEnum):
    """What a trial of speaker verification is; the numbers are those of ASVspoof 5's tool for score fusion."""

    SPOOF = 0
    TARGET = 1
    NONTARGET = 2


class VerificationCurve(NamedTuple):
    """Error rates while the threshold climbs over every score; float64 (trials + 1,) each.

    Attributes:
        miss: Fraction of targets rejected, rising from 0 to 1.
        false_alarm: Fraction of nontargets accepted, falling from 1 to 0.
        spoof_false_alarm: Fraction of spoofed trials accepted, falling from 1 to 0.
        threshold: The score after which the rates hold; the first lies 0.001 below the lowest score.
    """

    miss: Tensor
    false_alarm: Tensor
    spoof_false_alarm: Tensor
    threshold: Tensor


def as_verification_trials(scores: Tensor | ArrayLike, kinds: Tensor | ArrayLike) -> tuple[Tensor, Tensor]:
    """Checks scores and kinds and returns them as float64 (trials,) and int64 (trials,) on one device.

    Raises:
        ValueError: Shapes differ, a kind is none of `TrialKind` or has no trial, or a score is NaN or infinite.
    """
    scores, kinds = as_scores(scores, kinds, labels="kinds")
    kinds = kinds.long()
    if bool(((kinds < 0) | (kinds >= len(TrialKind))).any()):
        raise ValueError("kinds must be 0 (spoof), 1 (target) or 2 (nontarget), see TrialKind")
    for kind, count in zip(TrialKind, kinds.bincount(minlength=len(TrialKind)).tolist(), strict=True):
        if not count:
            raise ValueError(
                f"none of the {len(scores)} trials is {kind.name.lower()}: target, nontarget and spoof are needed"
            )
    check_finite(scores)
    return scores, kinds


def verification_curve(scores: Tensor | ArrayLike, kinds: Tensor | ArrayLike) -> VerificationCurve:
    """Error rates of the three kinds of trials at every threshold.

    Tied scores count one by one, targets first, then nontargets, then spoofed trials, as in the official packages of
    ASVspoof 5 and of the t-EER.

    Args:
        scores: (trials,), higher means accept.
        kinds: `TrialKind` of each, int (trials,).

    Returns:
        The curve; each entry float64 (trials + 1,) on the scores' device.

    Raises:
        ValueError: As in `as_verification_trials`.
    """
    scores, kinds = as_verification_trials(scores, kinds)
    ranked = torch.cat([(kinds == kind).nonzero().squeeze(1) for kind in _ORDER_OF_TIES])
    scores, order = scores[ranked].sort(stable=True)
    kinds = kinds[ranked][order]
    target, nontarget, spoof = (_shares_up_to(kinds == kind) for kind in _ORDER_OF_TIES)
    threshold = torch.cat([scores[:1] - 0.001, scores])
    return VerificationCurve(target, 1 - nontarget, 1 - spoof, threshold)


_ORDER_OF_TIES = (TrialKind.TARGET, TrialKind.NONTARGET, TrialKind.SPOOF)


def _shares_up_to(members: Tensor) -> Tensor:
    """Fraction of the members among the first 0, 1, ... trials, float64 (trials + 1,)."""
    passed = members.cumsum(0)
    return torch.cat([passed.new_zeros(1, dtype=torch.float64), passed / passed[-1].double()])
