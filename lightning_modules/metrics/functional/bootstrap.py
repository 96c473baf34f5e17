"""Confidence intervals of detection metrics by resampling trials."""

from collections.abc import Callable

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from lightning_modules.metrics.functional.error_rates import as_trials, sort_trials


def bootstrap_interval(
    metric: Callable[[Tensor, Tensor], Tensor],
    scores: Tensor | ArrayLike,
    is_positive: Tensor | ArrayLike,
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a metric; each class is resampled by itself, so its size is kept.

    Trials are taken as independent. Trials of one speaker are not, so the true interval is somewhat wider.

    Args:
        metric: Takes scores (trials,) and labels (trials,), returns a scalar, e.g. `min_dcf`.
        scores: (trials,), higher means bona fide.
        is_positive: bool (trials,), True where bona fide.
        draws: Number of resampled sets.
        level: Coverage, in (0, 1).
        seed: Of the resampling; equal seeds give equal intervals on one kind of device.

    Returns:
        Lower and upper limit, in the metric's unit.

    Raises:
        ValueError: Draws or level out of range, or as in `as_trials`.
    """
    if draws < 1 or not 0 < level < 1:
        raise ValueError(f"draws={draws} must be at least 1 and level={level} between 0 and 1")
    scores, is_positive = sort_trials(*as_trials(scores, is_positive))
    generator = torch.Generator(scores.device).manual_seed(seed)
    classes = [is_positive.nonzero().squeeze(1), (~is_positive).nonzero().squeeze(1)]
    values = scores.new_empty(draws)
    for draw in range(draws):
        times = torch.zeros(len(scores), dtype=torch.int64, device=scores.device)  # how often each is drawn
        for rows in classes:
            drawn = torch.randint(len(rows), (len(rows),), generator=generator, device=scores.device)
            times[rows] = drawn.bincount(minlength=len(rows))
        values[draw] = metric(scores.repeat_interleave(times), is_positive.repeat_interleave(times))
    tail = (1 - level) / 2
    low, high = torch.quantile(values, values.new_tensor([tail, 1 - tail])).tolist()
    return low, high
