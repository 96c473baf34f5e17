"""DET curve and equal error rate, as the ASVspoof challenges define them."""

from typing import Literal, NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor

INVERSION_MARGIN = 0.1

EerRule = Literal["asvspoof", "interpolated"]


class DetCurve(NamedTuple):
    """Error rates while the threshold climbs over every score; float64 (trials + 1,) each.

    Attributes:
        miss: Fraction of bona fide trials rejected, rising from 0 to 1.
        false_alarm: Fraction of spoofed trials accepted, falling from 1 to 0.
        threshold: The score after which the rates hold; the first lies 0.001 below the lowest score.
    """

    miss: Tensor
    false_alarm: Tensor
    threshold: Tensor


def as_trials(scores: Tensor | ArrayLike, is_positive: Tensor | ArrayLike) -> tuple[Tensor, Tensor]:
    """Checks scores and labels and returns them as float64 (trials,) and bool (trials,) on one device.

    Raises:
        ValueError: Shapes differ, a score is NaN or infinite, or a class has no trial.
    """
    scores, is_positive = as_scores(scores, is_positive, labels="is_positive")
    is_positive = is_positive.bool()
    num_positive = int(is_positive.sum())
    if num_positive in (0, len(scores)):
        missing = "spoofed" if num_positive else "bona fide"
        raise ValueError(f"none of the {len(scores)} trials is {missing}: error rates need both classes")
    check_finite(scores)
    return scores, is_positive


def as_scores(
    scores: Tensor | ArrayLike, target: Tensor | ArrayLike, *, labels: str
) -> tuple[Tensor, Tensor]:
    """Returns scores as float64 (trials,) and what labels them beside, on one device.

    Raises:
        ValueError: Shapes differ; the message calls the second argument by the name `labels`.
    """
    scores = torch.as_tensor(scores, dtype=torch.float64)
    target = torch.as_tensor(target, device=scores.device)
    if scores.ndim != 1 or scores.shape != target.shape:
        raise ValueError(
            f"scores and {labels} must be one-dimensional and equally long, "
            f"not {tuple(scores.shape)} and {tuple(target.shape)}"
        )
    return scores, target


def check_finite(scores: Tensor) -> None:
    """Raises a ValueError that names the first score of (trials,) that is NaN or infinite."""
    if not bool(scores.isfinite().all()):
        first = int((~scores.isfinite()).nonzero()[0])
        raise ValueError(f"score {first} is {float(scores[first])}: every score must be a finite number")


def det_curve(scores: Tensor | ArrayLike, is_positive: Tensor | ArrayLike) -> DetCurve:
    """Miss and false-alarm rates at every threshold.

    Tied scores count one by one, bona fide trials first: that order is part of the official definition and is
    what a system pays for ties.

    Args:
        scores: (trials,), higher means bona fide.
        is_positive: bool (trials,), True where bona fide.

    Returns:
        The curve; each entry float64 (trials + 1,) on the scores' device.

    Raises:
        ValueError: As in `as_trials`.
    """
    return curve_of_sorted(*sort_trials(*as_trials(scores, is_positive)))


def curve_of_sorted(scores: Tensor, is_positive: Tensor) -> DetCurve:
    """The curve of trials as `sort_trials` returns them."""
    rejected = is_positive.cumsum(0)
    num_positive = rejected[-1]
    num_negative = len(scores) - num_positive
    accepted = num_negative - (torch.arange(1, len(scores) + 1, device=scores.device) - rejected)
    return DetCurve(
        miss=torch.cat([scores.new_zeros(1), rejected / num_positive.double()]),
        false_alarm=torch.cat([scores.new_ones(1), accepted / num_negative.double()]),
        threshold=torch.cat([scores[:1] - 0.001, scores]),
    )


def sort_trials(scores: Tensor, is_positive: Tensor) -> tuple[Tensor, Tensor]:
    """Sorts trials by rising score, bona fide before spoofed among equals."""
    rises = scores[1:] > scores[:-1]
    tied_in_order = (scores[1:] == scores[:-1]) & (is_positive[:-1] | ~is_positive[1:])
    if bool((rises | tied_in_order).all()):  # draws with replacement come sorted: spare them the second sort
        return scores, is_positive
    scores = torch.cat([scores[is_positive], scores[~is_positive]])
    num_positive = is_positive.sum()
    scores, order = scores.sort(stable=True)
    return scores, order < num_positive


def equal_error_rate(
    scores: Tensor | ArrayLike, is_positive: Tensor | ArrayLike, *, rule: EerRule = "asvspoof"
) -> tuple[Tensor, Tensor]:
    """Equal error rate.

    Args:
        scores: (trials,), higher means bona fide.
        is_positive: bool (trials,), True where bona fide.
        rule: ``asvspoof`` is the mean of miss and false alarm rate where they differ least, first of equals, in the
            order of ties of `det_curve`: the ASVspoof challenges, the Speech DF Arena and AntiDeepfake compute the
            same bits. ``interpolated`` lets tied scores share a threshold and goes straight between the points, as
            the ROC of scikit-learn does: by how much it is lower says what a system pays for its ties.

    Returns:
        The rate, a fraction in [0, 1], and its threshold; float64 scalars.

    Raises:
        ValueError: Another rule, or as in `as_trials`.

    Example:
        >>> eer, threshold = equal_error_rate([0.1, 0.4, 0.35, 0.8], [False, False, True, True])
        >>> float(eer), float(threshold)
        (0.5, 0.35)
    """
    return eer_of_curve(det_curve(scores, is_positive), rule=rule)


def eer_of_curve(curve: DetCurve, *, rule: EerRule = "asvspoof") -> tuple[Tensor, Tensor]:
    """Equal error rate and threshold of a curve, see `equal_error_rate`."""
    if rule == "interpolated":
        return _interpolated_eer(curve)
    if rule != "asvspoof":
        raise ValueError(f"rule of the EER is {rule!r}, expected 'asvspoof' or 'interpolated'")
    miss, false_alarm, threshold = curve
    at = (miss - false_alarm).abs().argmin()
    return (miss[at] + false_alarm[at]) / 2, threshold[at]


def _interpolated_eer(curve: DetCurve) -> tuple[Tensor, Tensor]:
    """Where the two rates cross on the straight lines between the curve's distinct thresholds."""
    last = torch.ones_like(curve.threshold, dtype=torch.bool)  # of the points that share a threshold
    last[1:-1] = curve.threshold[2:] != curve.threshold[1:-1]
    miss, false_alarm, threshold = (each[last] for each in curve)
    excess = miss - false_alarm  # from -1 to 1
    after = (excess >= 0).int().argmax()
    part = excess[after - 1] / (excess[after - 1] - excess[after])
    eer, at = (torch.lerp(each[after - 1], each[after], part) for each in (miss, threshold))
    return eer, at


def looks_inverted(scores: Tensor | ArrayLike, is_positive: Tensor | ArrayLike) -> bool:
    """Whether the negated scores separate the classes clearly better: higher was taken for spoofed."""
    scores = torch.as_tensor(scores, dtype=torch.float64)
    eer, _ = equal_error_rate(scores, is_positive)
    eer_of_negated, _ = equal_error_rate(-scores, is_positive)
    return bool(eer_of_negated < eer - INVERSION_MARGIN)
