"""Whether one method's figures, e.g. EER or AUC, are better than another's, by pairs of equal seeds or machines."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata, t

from lightning_modules.metrics.functional.paired import sign_flip_test


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """The mean difference of two methods' figures; what needs several pairs is NaN without them.

    Attributes:
        num_pairs: How many seeds, or machines, both have.
        difference: Mean of a minus b.
        se: Its standard error.
        p: Of Student's paired t test, two-sided.
        p_wilcoxon: Of Wilcoxon's signed-rank test, two-sided and exact, ties included; n pairs reach 2^(1 - n) at best.
    """

    num_pairs: int
    difference: float
    se: float
    p: float
    p_wilcoxon: float


def compare_values(a: ArrayLike, b: ArrayLike) -> PairedDifference:
    """Compares two methods by a figure of each pair.

    Args:
        a: (pair,), figures of method a, e.g. one a seed.
        b: (pair,), of method b, in the same order.

    Raises:
        ValueError: They are not equally many, or none.

    Example:
        >>> round(compare_values([3, 5, 7, 8], [2, 3, 4, 4]).p_wilcoxon, 9)  # 2 of 16 ways to flip signs
        0.125
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise ValueError(f"a and b of shapes {a.shape} and {b.shape}: expected (pair,) of the same pairs")
    differences = a - b
    num_pairs, mean = len(differences), float(differences.mean())
    if num_pairs == 1:
        return PairedDifference(num_pairs=1, difference=mean, se=math.nan, p=math.nan, p_wilcoxon=math.nan)
    se = float(differences.std(ddof=1)) / math.sqrt(num_pairs)
    p = float(2 * t.sf(abs(mean) / se, num_pairs - 1)) if se else float(mean == 0)
    # signed ranks, doubled because ties share one; equal pairs have none
    doubled = np.zeros(num_pairs, np.int64)
    unequal = differences != 0
    doubled[unequal] = np.sign(differences[unequal]) * 2 * rankdata(np.abs(differences[unequal]))
    return PairedDifference(
        num_pairs=num_pairs, difference=mean, se=se, p=p, p_wilcoxon=sign_flip_test(doubled)
    )
