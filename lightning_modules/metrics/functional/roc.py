"""Area under the receiver operating characteristic (ROC), whole and partial, as anomaly detection uses it."""

import math
from typing import NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from lightning_modules.metrics.functional.error_rates import as_trials


class RocCurve(NamedTuple):
    """Corners of the curve, from (0, 0) to (1, 1); float64 (levels + 1,) each.

    Attributes:
        false_alarm: Fraction of negatives at or above the threshold.
        hit: Fraction of positives at or above the threshold.
    """

    false_alarm: Tensor
    hit: Tensor


def roc_curve(scores: Tensor | ArrayLike, is_positive: Tensor | ArrayLike) -> RocCurve:
    """False-alarm and hit rates while the threshold sinks over every distinct score.

    Args:
        scores: (clips,), higher means positive, e.g. anomalous.
        is_positive: bool (clips,).

    Raises:
        ValueError: As in `auc`.
    """
    rise, run = _steps(*_binary(scores, is_positive))
    zero = rise.new_zeros(1)
    return RocCurve(
        torch.cat([zero, run.cumsum(0) / run.sum()]), torch.cat([zero, rise.cumsum(0) / rise.sum()])
    )


def auc(scores: Tensor | ArrayLike, is_positive: Tensor | ArrayLike) -> Tensor:
    """Area under the ROC: how often a positive scores above a negative, ties counting one half.

    Args:
        scores: (clips,), higher means positive, e.g. anomalous.
        is_positive: bool (clips,).

    Returns:
        float64 scalar in [0, 1] on the scores' device, 0.5 by chance.

    Raises:
        ValueError: A class has no clip, a score is NaN or infinite, or shapes differ.

    Example:
        >>> float(auc([0.1, 0.4, 0.35, 0.8], [False, False, True, True]))
        0.75
    """
    return _area(*_binary(scores, is_positive), max_fpr=1)


def partial_auc(
    scores: Tensor | ArrayLike,
    is_positive: Tensor | ArrayLike,
    *,
    max_fpr: float = 0.1,
    standardized: bool = True,
) -> Tensor:
    """Area under the ROC between false-positive rates 0 and `max_fpr`, the pAUC of the DCASE evaluators.

    Args:
        scores: (clips,), higher means positive, e.g. anomalous.
        is_positive: bool (clips,).
        max_fpr: Where the area ends, in (0, 1]; between two points of the curve it is interpolated.
        standardized: Scale to 0.5 by chance and 1 at best (McClish 1989); otherwise the area itself, at most
            `max_fpr`.

    Returns:
        float64 scalar on the scores' device.

    Raises:
        ValueError: `max_fpr` out of range, or as in `auc`.
    """
    _check_max_fpr(max_fpr)
    area = _area(*_binary(scores, is_positive), max_fpr=max_fpr)
    if not standardized:
        return area
    by_chance = max_fpr**2 / 2
    return (1 + (area - by_chance) / (max_fpr - by_chance)) / 2


def top_negatives_auc(
    scores: Tensor | ArrayLike, is_positive: Tensor | ArrayLike, *, max_fpr: float = 0.1
) -> Tensor:
    """How often a positive scores above one of the floor(max_fpr N) highest of the N negatives.

    This is the pAUC that the papers of DCASE Task 2 define, where a tie counts nothing. Their evaluators
    compute `partial_auc`, and only that compares with published figures.

    Args:
        scores: (clips,), higher means positive, e.g. anomalous.
        is_positive: bool (clips,).
        max_fpr: Which part of the negatives counts, in (0, 1].

    Returns:
        float64 scalar in [0, 1] on the scores' device; `max_fpr` / 2 by chance.

    Raises:
        ValueError: No negative is left of so few, or as in `partial_auc`.
    """
    _check_max_fpr(max_fpr)
    scores, is_positive = _binary(scores, is_positive)
    negatives, positives = scores[~is_positive], scores[is_positive].sort().values
    kept = math.floor(max_fpr * len(negatives) + 1e-9)  # 0.29 * 100 is 28.999...
    if kept == 0:
        raise ValueError(
            f"max_fpr={max_fpr} of {len(negatives)} negative clips is none: pAUC needs one or more"
        )
    below = torch.searchsorted(positives, negatives.topk(kept).values, right=True)
    return 1 - below.double().mean() / len(positives)


def _area(scores: Tensor, is_positive: Tensor, *, max_fpr: float) -> Tensor:
    """Area left of `max_fpr`."""
    rise, run = _steps(scores, is_positive)
    start, floor = run.cumsum(0) - run, rise.cumsum(0) - rise
    inside = (max_fpr * run.sum() - start).clamp(min=0).minimum(run)  # the part of a step's width that counts
    mean_height = floor + rise * inside / run.clamp(min=1) / 2
    return (inside * mean_height).sum() / (rise.sum() * run.sum())


def _steps(scores: Tensor, is_positive: Tensor) -> tuple[Tensor, Tensor]:
    """Positives and negatives of each distinct score, highest first; float64 (levels,) each.

    Equal scores share one threshold: together they make one sloping step of the curve.
    """
    levels, level = scores.unique(return_inverse=True)
    counts = (level[members].bincount(minlength=len(levels)) for members in (is_positive, ~is_positive))
    rise, run = (count.flip(0).double() for count in counts)
    return rise, run


def _binary(scores: Tensor | ArrayLike, is_positive: Tensor | ArrayLike) -> tuple[Tensor, Tensor]:
    """Checks as `as_trials`, in the words of no task."""
    flags = torch.as_tensor(is_positive).bool()
    for kind, present in (("positive", flags), ("negative", ~flags)):
        if not bool(present.any()):
            raise ValueError(f"none of the {flags.numel()} clips is {kind}: the ROC needs both classes")
    return as_trials(scores, flags)


def _check_max_fpr(max_fpr: float) -> None:
    if not 0 < max_fpr <= 1:
        raise ValueError(f"max_fpr={max_fpr} must be above 0 and at most 1, e.g. 0.1")
