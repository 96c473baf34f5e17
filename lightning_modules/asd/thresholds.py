"""Decision thresholds from the scores of normal clips alone, checked by those that they were not fitted to."""

import math
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

import numpy as np
from lightning_utilities.core.rank_zero import rank_zero_warn
from numpy.typing import NDArray
from scipy import special

from lightning_modules.asd.threshold_families import Family, fitted_quantile, tail_share

Rule = Literal["conformal", "percentile", "gamma", "lognormal", "pareto"]

_FEWEST = 50
"""Scores that a distribution of three parameters is fitted to."""
_FEWEST_OF_TAIL = 20
_FOLDS = 5
_LEVEL_OF_CHECK = 0.9


@dataclass(frozen=True)
class Threshold:
    """A threshold and how it was found.

    Attributes:
        value: Score above which a clip counts as anomalous.
        rule: What gave it in the end.
        num_scores: Normal scores that it was found from.
        num_passed: How many of them lie at or below the threshold of those in other folds.
        remark: Why it is not what was asked for; empty where it is.
    """

    value: float
    rule: Rule
    num_scores: int
    num_passed: int
    remark: str = ""


def decision_threshold(scores: NDArray[np.float64], *, rule: Rule = "gamma", quantile: float = 0.9) -> float:
    """Value of `fit_threshold`, whose remark is warned of."""
    threshold = fit_threshold(scores, rule=rule, quantile=quantile)
    if threshold.remark:
        rank_zero_warn(f"threshold: {threshold.remark}")
    return threshold.value


def fit_threshold(scores: NDArray[np.float64], *, rule: Rule, quantile: float) -> Threshold:
    """Finds the score above which a clip is called anomalous.

    ``conformal`` takes the ceil((n + 1) quantile)-th smallest of n scores: a further normal clip lies above it with a
    probability of at most 1 - quantile, whatever the distribution, if its score is drawn as those were. Where n is too
    small for that it takes the largest, and says so. ``percentile`` is the quantile of the scores themselves, which
    promises nothing of further ones. ``gamma``, of the DCASE baselines since 2021, ``lognormal`` and ``pareto`` are
    quantiles of a distribution that is fitted, see `fitted_quantile`.

    ``conformal`` takes their place, and the remark says so, where there are too few scores for a fit, where the
    threshold lies further above all scores than these are apart, or where the wanted quantile is outside the interval
    of 90 % about the share of held-out scores that pass. To that end every fifth score is left out in turn. All rules
    move and grow with the scores.

    Args:
        scores: (clip,), of normal clips.
        rule: How it follows from them.
        quantile: Share of normal clips that should pass, in (0, 1).

    Raises:
        ValueError: There is no score, one is not finite, or rule or quantile is unknown.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if rule not in get_args(Rule):
        raise ValueError(f"threshold {rule!r}: expected one of {', '.join(get_args(Rule))}")
    if not 0 < quantile < 1:
        raise ValueError(f"threshold_quantile {quantile}: expected a share between 0 and 1")
    if not len(scores) or not np.isfinite(scores).all():
        raise ValueError(f"a threshold needs scores that are finite numbers, found {_what_is_wrong(scores)}")
    if rule not in get_args(Family):
        return _found(scores, rule, quantile)
    obstacle = _obstacle(len(scores), cast(Family, rule), quantile)
    if not obstacle:
        found = _found(scores, rule, quantile)
        if not (obstacle := _misfit(found, scores, quantile)):
            return found
    found = _found(scores, "conformal", quantile)
    return replace(found, remark="; ".join(filter(None, [f"{obstacle}: conformal decides", found.remark])))


def passed_interval(passed: int, of: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share; NaN of nothing.

    >>> [round(limit, 3) for limit in passed_interval(9, 10)]
    [0.596, 0.982]
    """
    if not of:
        return math.nan, math.nan
    z, share = float(special.ndtri((1 + level) / 2)), passed / of
    middle = share + z**2 / (2 * of)
    half = z * math.sqrt(share * (1 - share) / of + (z / (2 * of)) ** 2)
    return (middle - half) / (1 + z**2 / of), (middle + half) / (1 + z**2 / of)


def _what_is_wrong(scores: NDArray[np.float64]) -> str:
    wrong = scores[~np.isfinite(scores)]
    return f"{len(wrong)} of {len(scores)} that are not, e.g. {wrong[0]}" if len(wrong) else "none at all"


def _found(scores: NDArray[np.float64], rule: Rule, quantile: float) -> Threshold:
    value, size = _value(scores, rule, quantile), len(scores)
    fold = np.arange(size) % _FOLDS
    passed = sum(
        int((scores[fold == held_out] <= _value(scores[fold != held_out], rule, quantile)).sum())
        for held_out in (range(min(_FOLDS, size)) if size > 1 else ())
    )
    least = math.ceil(round(quantile / (1 - quantile), 9))
    remark = ""
    if value > scores.max():
        remark = f"{rule} decides above all {size} scores, where none of them tells how many pass"
    elif rule == "conformal" and size < least:
        remark = (
            f"the largest of {size} scores decides, which one normal clip in {size + 1} exceeds: {1 - quantile:.2g} of"
            f" them takes {least} scores"
        )
    return Threshold(value, rule, size, passed, remark)


def _value(scores: NDArray[np.float64], rule: Rule, quantile: float) -> float:
    if rule == "percentile":
        return float(np.quantile(scores, quantile))
    if rule == "conformal":
        size = len(scores)
        place = min(max(math.ceil(round((size + 1) * quantile, 9)), 1), size)
        return float(np.partition(scores, place - 1)[place - 1])
    return fitted_quantile(rule, scores, quantile)


def _obstacle(size: int, family: Family, quantile: float) -> str:
    """Why a family is not fitted to so many scores; empty where it is."""
    least = round(_FEWEST_OF_TAIL / tail_share(quantile)) if family == "pareto" else _FEWEST
    return f"{family} takes {least} scores, here are {size}" if size < least else ""


def _misfit(found: Threshold, scores: NDArray[np.float64], quantile: float) -> str:
    """Why a distribution does not fit; empty where it does."""
    if not found.value <= scores.max() + np.ptp(scores):
        return f"{found.rule} cannot be fitted to these {found.num_scores} scores"
    low, high = passed_interval(found.num_passed, found.num_scores, _LEVEL_OF_CHECK)
    if low <= quantile <= high:
        return ""
    share = found.num_passed / found.num_scores
    return f"{found.rule} does not fit: of {found.num_scores} held-out scores {share:.3f} pass, {quantile:.4g} wanted"
