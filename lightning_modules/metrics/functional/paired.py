"""Whether one method classifies better than another on the same clips, by clips and by seeds."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import convolve
from scipy.stats import binom, t


@dataclass(frozen=True, kw_only=True)
class PairedComparison:
    """The difference of two methods' mean accuracies, fractions; what needs several runs is NaN without them.

    Attributes:
        accuracy: Of a and of b, means over runs and clips.
        num_runs: Of a and of b.
        num_clips: That both were tested on.
        difference: Accuracy of a minus that of b.
        se_clips: Standard error of the difference if other clips were drawn and the trained networks kept.
        se_seeds: Standard error of the difference if networks were trained anew and the clips kept.
        p_clips: Of `sign_flip_test`: the trained networks do not differ. With one run each, McNemar's exact test.
        p: The methods do not differ, on other clips and with other seeds: Student's t of the difference over
            both standard errors together, degrees of freedom by Welch and Satterthwaite. Slightly cautious: what
            is chance of a single clip in a single run is in both standard errors.
    """

    accuracy: tuple[float, float]
    num_runs: tuple[int, int]
    num_clips: int
    difference: float
    se_clips: float
    se_seeds: float
    p_clips: float
    p: float


def compare_paired(correct_a: ArrayLike, correct_b: ArrayLike) -> PairedComparison:
    """Compares two methods by which clips their runs classify correctly.

    Args:
        correct_a: bool (run, clip), a run for each seed of method a.
        correct_b: bool (run, clip) of method b, with the same clips; runs are not paired.

    Raises:
        ValueError: The clips are not as many, or fewer than two.
    """
    a, b = np.atleast_2d(correct_a).astype(np.int64), np.atleast_2d(correct_b).astype(np.int64)
    if a.shape[1] != b.shape[1] or a.shape[1] < 2 or not a.size * b.size:
        raise ValueError(
            f"correct_a and correct_b of shapes {a.shape} and {b.shape}: expected (run, clip) of the same clips"
        )
    num_clips = a.shape[1]
    # Differences of a clip's mean correctness, as integers: in units of the least common fraction.
    unit = math.lcm(len(a), len(b))
    differences = a.sum(0) * (unit // len(a)) - b.sum(0) * (unit // len(b))
    variances = [(differences / unit).var(ddof=1) / num_clips, _variance(a), _variance(b)]
    freedom = [num_clips - 1, len(a) - 1, len(b) - 1]
    accuracy = float(a.mean()), float(b.mean())
    return PairedComparison(
        accuracy=accuracy,
        num_runs=(len(a), len(b)),
        num_clips=num_clips,
        difference=accuracy[0] - accuracy[1],
        se_clips=math.sqrt(variances[0]),
        se_seeds=math.sqrt(variances[1] + variances[2]),
        p_clips=sign_flip_test(differences),
        p=_welch(accuracy[0] - accuracy[1], variances, freedom),
    )


def sign_flip_test(differences: ArrayLike) -> float:
    """Exact two-sided p-value that differences are as likely positive as negative, by their sum.

    All 2^n ways to flip the signs are counted, by convolving one binomial distribution for each magnitude; absolute
    error below 1e-12. With differences of -1, 0 and 1 this is McNemar's exact test.

    Args:
        differences: int (clip,), of a clip's correct runs of method a and b.

    Example:
        >>> sign_flip_test([1, 1, 1, 0, 0])
        0.25
    """
    differences = np.asarray(differences)
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    chances = np.ones(1)  # of the sum of those that come out positive: 0, 1, 2, ...
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        positive = np.zeros(size * count + 1)
        positive[::size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances = convolve(chances, positive)
    total = len(chances) - 1
    sums = 2 * np.arange(total + 1) - total
    return float(np.clip(chances[np.abs(sums) >= abs(differences.sum())].sum(), 0, 1))


def _variance(correct: NDArray[np.int64]) -> float:
    """Squared standard error of the mean accuracy, by runs (run, clip)."""
    return float(correct.mean(1).var(ddof=1)) / len(correct) if len(correct) > 1 else math.nan


def _welch(difference: float, variances: list[float], freedom: list[int]) -> float:
    variance = sum(variances)
    if math.isnan(variance):
        return math.nan
    if variance == 0:
        return float(difference == 0)
    degrees = variance**2 / sum(v**2 / df for v, df in zip(variances, freedom, strict=True))
    return float(2 * t.sf(abs(difference) / math.sqrt(variance), degrees))
