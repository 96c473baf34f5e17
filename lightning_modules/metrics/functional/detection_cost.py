"""Detection cost and calibration metrics of ASVspoof 5, track 1."""

import math

from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn.functional import logsigmoid

from lightning_modules.metrics.functional.error_rates import DetCurve, as_trials, det_curve

P_SPOOF = 0.05
COST_MISS = 1.0
COST_FALSE_ALARM = 10.0
WEIGHT_MISS = COST_MISS * (1 - P_SPOOF)
WEIGHT_FALSE_ALARM = COST_FALSE_ALARM * P_SPOOF
BAYES_THRESHOLD = -math.log(WEIGHT_MISS / WEIGHT_FALSE_ALARM)  # -0.6419, for log likelihood ratios


def _normalised_cost(miss: Tensor, false_alarm: Tensor) -> Tensor:
    """Cost relative to the better of accepting all and rejecting all."""
    cost = WEIGHT_MISS * miss + WEIGHT_FALSE_ALARM * false_alarm
    return cost / min(WEIGHT_MISS, WEIGHT_FALSE_ALARM)


def min_dcf(scores: Tensor | ArrayLike, is_positive: Tensor | ArrayLike) -> Tensor:
    """Minimum normalised detection cost over all thresholds, the primary metric of ASVspoof 5 track 1.

    Args:
        scores: (trials,), higher means bona fide.
        is_positive: bool (trials,), True where bona fide.

    Returns:
        float64 scalar in [0, 1].

    Raises:
        ValueError: As in `as_trials`.
    """
    return min_dcf_of_curve(det_curve(scores, is_positive))


def min_dcf_of_curve(curve: DetCurve) -> Tensor:
    """Minimum normalised detection cost of a curve, see `min_dcf`."""
    return _normalised_cost(curve.miss, curve.false_alarm).min()


def act_dcf(scores: Tensor | ArrayLike, is_positive: Tensor | ArrayLike) -> Tensor:
    """Normalised detection cost at the Bayes threshold -ln 1.9; only for log likelihood ratios.

    Args:
        scores: (trials,), natural log likelihood ratios, bona fide over spoofed.
        is_positive: bool (trials,), True where bona fide.

    Returns:
        float64 scalar, 0 at best; 1 is what rejecting nothing costs, and scores of another scale often give.

    Raises:
        ValueError: As in `as_trials`.
    """
    scores, is_positive = as_trials(scores, is_positive)
    accepted = scores >= BAYES_THRESHOLD
    return _normalised_cost((~accepted[is_positive]).double().mean(), accepted[~is_positive].double().mean())


def cllr(scores: Tensor | ArrayLike, is_positive: Tensor | ArrayLike) -> Tensor:
    """Cost of log likelihood ratios (Brümmer and du Preez 2006), in bits.

    It measures discrimination and calibration at once.

    Args:
        scores: (trials,), natural log likelihood ratios, bona fide over spoofed.
        is_positive: bool (trials,), True where bona fide.

    Returns:
        float64 scalar, 0 at best; 1 is a system that says nothing (all ratios 0).

    Raises:
        ValueError: As in `as_trials`.

    Example:
        >>> float(cllr([0.0, 0.0], [True, False]))
        1.0
    """
    scores, is_positive = as_trials(scores, is_positive)
    of_bonafide, of_spoof = logsigmoid(scores[is_positive]).mean(), logsigmoid(-scores[~is_positive]).mean()
    return -(of_bonafide + of_spoof) / (2 * math.log(2))
