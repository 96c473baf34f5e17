"""Error rates of one detector on several test sets."""

from collections.abc import Mapping

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from lightning_modules.metrics.functional.error_rates import (
    EerRule,
    as_scores,
    check_finite,
    equal_error_rate,
)

Trials = tuple[Tensor | ArrayLike, Tensor | ArrayLike]


def pooled_eer(sets: Mapping[str, Trials], *, rule: EerRule = "asvspoof") -> tuple[Tensor, Tensor]:
    """Equal error rate of the trials of all sets under one threshold, which scores of shifting scale pay for.

    Args:
        sets: Name -> scores (trials,), higher means bona fide, and bool (trials,), True where bona fide. A set may
            be of one class.
        rule: As in `equal_error_rate`.

    Returns:
        The rate, a fraction in [0, 1], and its threshold; float64 scalars.

    Raises:
        ValueError: There is no set, a set's shapes differ, or as in `as_trials`.

    Example:
        >>> sets = {"a": ([0.0, 1.0], [False, True]), "b": ([2.0, 3.0], [False, True])}
        >>> float(mean_eer(sets)), float(pooled_eer(sets)[0])
        (0.0, 0.5)
    """
    _check_some(sets)
    checked = []
    for name, (scores, is_positive) in sets.items():
        try:
            checked.append(as_scores(scores, is_positive, labels="is_positive"))
        except ValueError as reason:
            raise ValueError(f"{name}: {reason}") from None
    scores, is_positive = (torch.cat(each) for each in zip(*checked, strict=True))
    return equal_error_rate(scores, is_positive, rule=rule)


def mean_eer(sets: Mapping[str, Trials], *, rule: EerRule = "asvspoof") -> Tensor:
    """Mean of the equal error rates of the sets, each at a threshold of its own and of the same weight.

    Args:
        sets: As in `pooled_eer`, but each of both classes.
        rule: As in `equal_error_rate`.

    Returns:
        float64 scalar in [0, 1].

    Raises:
        ValueError: There is no set, or as in `as_trials`; the message names the set.
    """
    _check_some(sets)
    rates = []
    for name, trials in sets.items():
        try:
            rates.append(equal_error_rate(*trials, rule=rule)[0])
        except ValueError as reason:
            raise ValueError(f"{name}: {reason}") from None
    return torch.stack(rates).mean()


def spoof_rejection_rate(spoof_scores: Tensor | ArrayLike, *, threshold: Tensor | float) -> Tensor:
    """Fraction of spoofed trials that a threshold rejects, for sets without bona fide speech.

    The threshold comes from elsewhere, e.g. the EER point of another set. Arenas print 1 less it.

    Args:
        spoof_scores: (spoofs,), higher means bona fide.
        threshold: Scores below it are rejected.

    Returns:
        float64 scalar in [0, 1], 1 at best.

    Raises:
        ValueError: There are no scores, or one is NaN or infinite.
    """
    scores = torch.as_tensor(spoof_scores, dtype=torch.float64)
    if scores.ndim != 1 or not len(scores):
        raise ValueError(f"spoof_scores must be one-dimensional and not empty, not {tuple(scores.shape)}")
    check_finite(scores)
    return (scores < threshold).double().mean()


def _check_some(sets: Mapping[str, Trials]) -> None:
    if not sets:
        raise ValueError("no set of trials: error rates of several sets need one or more")
