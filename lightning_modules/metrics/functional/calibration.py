"""Calibration of detection scores: log likelihood ratios by logistic regression, and the cost of the ideal map.

Sources: Brümmer and du Preez, Application-independent evaluation of speaker detection (2006); Brümmer et al., Fusion of
heterogeneous speaker recognition systems (2007).
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit
from torch import Tensor

from lightning_modules.metrics.functional.error_rates import as_trials

_MAX_STEPS = 100  # ten are usual
_NEAR = 1e-8  # squared Newton decrement, nats: from here on full steps square it each time
_DONE = 1e-20  # below what float64 can improve


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Affine map of one or several systems' scores to a natural log likelihood ratio, positive over negative.

    Attributes:
        scale: Factor of each system's score.
        offset: What is added to their sum.
    """

    scale: tuple[float, ...]
    offset: float

    def __call__(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Maps (trials,) of one system or (trials, systems) to float64 (trials,)."""
        return _columns(scores) @ np.array(self.scale) + self.offset

    @classmethod
    def read(cls, path: str | Path) -> "Calibration":
        """Reads what ``calibrate --json`` writes.

        Raises:
            ValueError: The file is missing or of another kind.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(scale=tuple(map(float, content["scale"])), offset=float(content["offset"]))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path}: no file of python -m lightning_modules.calibrate --json ({error})"
            ) from None


def fit_calibration(scores: ArrayLike, is_positive: ArrayLike, *, prior: float = 0.5) -> Calibration:
    """Fits the map by logistic regression, the classes weighted to the prior; it is linear fusion of several systems.

    The cross-entropy has one minimum, which Newton's method finds. Systems that are affine maps of others share their
    weight: of all minima the one of the smallest weights on standardised scores.

    Args:
        scores: (trials,) or (trials, systems), any scale.
        is_positive: bool (trials,).
        prior: Of the positive class, in (0, 1): where on the scale of ratios the fit is to be best.

    Raises:
        ValueError: As in `as_trials`, a prior outside (0, 1), a system whose scores are all equal, or scores that tell
            the classes apart without error, so that no finite scale is best.
    """
    if not 0 < prior < 1:
        raise ValueError(f"prior {prior}: expected a probability between 0 and 1")
    columns = _columns(scores)
    for column in columns.T:
        as_trials(column, is_positive)
    positive = np.asarray(is_positive, bool)
    spread = np.ptp(columns, axis=0)  # exact, where the deviation of equal scores may be a rounding error
    if not spread.all():
        raise ValueError(f"all scores of system {int(spread.argmin()) + 1} are equal: nothing to calibrate")
    mean, deviation = columns.mean(0), columns.std(0)
    inputs = np.column_stack([(columns - mean) / deviation, np.ones(len(columns))])
    weights = np.where(positive, prior / positive.sum(), (1 - prior) / (~positive).sum())
    fitted = _newton(inputs, positive, weights, float(logit(prior)))
    fused = inputs @ fitted
    if fused[positive].min() >= fused[~positive].max() - 1e-9:  # at most ties overlap
        raise ValueError(
            "the scores tell the classes apart without error, so that no finite scale is best: "
            "calibrate on more trials"
        )
    scale = fitted[:-1] / deviation
    return Calibration(scale=tuple(scale.tolist()), offset=float(fitted[-1] - scale @ mean))


def _newton(
    inputs: NDArray[np.float64], positive: NDArray[np.bool_], weights: NDArray[np.float64], shift: float
) -> NDArray[np.float64]:
    """Minimises sum w log(1 + exp(-+(inputs @ theta + shift))) by Newton's steps, halved until they descend."""
    sign = np.where(positive, 1.0, -1.0)

    def cost(theta: NDArray[np.float64]) -> float:
        return float(weights @ np.logaddexp(0, -sign * (inputs @ theta + shift)))

    theta = np.zeros(inputs.shape[1])
    for _ in range(_MAX_STEPS):
        chance = expit(inputs @ theta + shift)
        gradient = inputs.T @ (weights * (chance - positive))
        hessian = (inputs.T * (weights * chance * (1 - chance))) @ inputs
        step = np.linalg.pinv(hessian, rcond=1e-12, hermitian=True) @ gradient
        decrement = gradient @ step
        while decrement > _NEAR and cost(theta - step) > cost(theta):
            step /= 2
        theta = theta - step
        if decrement < _DONE:
            break
    return theta


def min_cllr(scores: Tensor | ArrayLike, is_positive: Tensor | ArrayLike) -> Tensor:
    """Cllr after the best map of scores that keeps their order, in bits: what calibration cannot improve.

    The map is found by the pool-adjacent-violators algorithm on the proportion of positives; tied scores stay tied.

    Args:
        scores: (trials,), higher means positive, any scale.
        is_positive: bool (trials,).

    Returns:
        float64 scalar in [0, 1]: 0 where the classes are apart, never above `cllr`.

    Raises:
        ValueError: As in `as_trials`.

    Example:
        >>> float(min_cllr([1.0, 2.0, 3.0], [False, False, True]))
        0.0
    """
    trials, labels = as_trials(scores, is_positive)
    values, labels = trials.cpu().numpy(), labels.cpu().numpy()
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    positives = np.bincount(place, labels, len(count))
    found = isotonic_regression(positives / count, weights=count)
    starts = np.asarray(found.blocks)[:-1]
    # Counts of the pooled blocks are exact, where a proportion would have to be turned back by rounding.
    positive = np.add.reduceat(positives, starts)
    negative = np.add.reduceat(count, starts) - positive
    num_positive, num_negative = positive.sum(), negative.sum()
    with np.errstate(divide="ignore"):
        ratio = np.log(positive / num_positive) - np.log(negative / num_negative)
    some_positive, some_negative = positive > 0, negative > 0
    cost_positive = positive[some_positive] @ np.logaddexp(0, -ratio[some_positive]) / num_positive
    cost_negative = negative[some_negative] @ np.logaddexp(0, ratio[some_negative]) / num_negative
    return torch.tensor((cost_positive + cost_negative) / (2 * math.log(2)), dtype=torch.float64)


def _columns(scores: ArrayLike) -> NDArray[np.float64]:
    columns = np.asarray(scores, np.float64)
    return columns[:, None] if columns.ndim == 1 else columns
