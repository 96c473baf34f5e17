"""Confidence intervals of detection metrics by resampling trials."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from lightning_modules.metrics.functional.error_rates import DetCurve, as_trials, curve_of_sorted, sort_trials


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
    trials = _sorted_trials(scores, is_positive, draws, level)
    return _limits([metric(*drawn) for drawn in _resampled(*trials, draws=draws, seed=seed)], level)


def bootstrap_intervals(
    metrics: Mapping[str, Callable[[DetCurve], Tensor]],
    scores: Tensor | ArrayLike,
    is_positive: Tensor | ArrayLike,
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Intervals of metrics of the DET curve, all from the same draws, and equal to those of `bootstrap_interval`.

    Args:
        metrics: Name -> what takes a curve and returns a scalar, e.g. `min_dcf_of_curve`.
        scores: (trials,), higher means bona fide.
        is_positive: bool (trials,), True where bona fide.
        draws: Number of resampled sets.
        level: Coverage, in (0, 1).
        seed: Of the resampling.

    Returns:
        Name -> lower and upper limit, in the metric's unit.

    Raises:
        ValueError: As in `bootstrap_interval`.
    """
    trials = _sorted_trials(scores, is_positive, draws, level)
    values: dict[str, list[Tensor]] = {name: [] for name in metrics}
    for drawn in _resampled(*trials, draws=draws, seed=seed):
        curve = curve_of_sorted(*drawn)
        for name, metric in metrics.items():
            values[name].append(metric(curve))
    return {name: _limits(found, level) for name, found in values.items()}


def _sorted_trials(
    scores: Tensor | ArrayLike, is_positive: Tensor | ArrayLike, draws: int, level: float
) -> tuple[Tensor, Tensor]:
    if draws < 1 or not 0 < level < 1:
        raise ValueError(f"draws={draws} must be at least 1 and level={level} between 0 and 1")
    return sort_trials(*as_trials(scores, is_positive))


def _resampled(
    scores: Tensor, is_positive: Tensor, *, draws: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Draws with replacement from either class, sorted as the trials are."""
    classes = [is_positive.nonzero().squeeze(1), (~is_positive).nonzero().squeeze(1)]
    times = torch.zeros_like(is_positive, dtype=torch.int64)
    for counts in drawn_counts(*map(len, classes), draws=draws, seed=seed, device=scores.device):
        for rows, drawn in zip(classes, counts, strict=True):
            times[rows] = drawn
        taken = torch.repeat_interleave(times)
        yield scores[taken], is_positive[taken]


def drawn_counts(
    *sizes: int, draws: int, seed: int, device: torch.device | None = None
) -> Iterator[list[Tensor]]:
    """How often each trial of classes of these sizes is drawn with replacement, int64 (size,) each."""
    generator = torch.Generator(device or torch.device("cpu")).manual_seed(seed)
    for _ in range(draws):
        yield [
            torch.randint(size, (size,), generator=generator, device=device).bincount(minlength=size)
            for size in sizes
        ]


def _limits(values: Sequence[Tensor], level: float) -> tuple[float, float]:
    found, tail = torch.stack(list(values)).double(), (1 - level) / 2
    low, high = torch.quantile(found, found.new_tensor([tail, 1 - tail])).tolist()
    return low, high
