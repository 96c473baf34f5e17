"""Quantiles of distributions that are fitted to scores by L-moments, which no optimizer can miss.

L-moments are sums of the sorted scores, so a fit is a formula: it cannot diverge, it moves and grows with the scores,
and an outlier counts for much less than in moments. Source: Hosking, "L-moments: analysis and estimation of
distributions using linear combinations of order statistics", J. R. Statist. Soc. B 52, 1990; the formulas of shapes are
those of Hosking and Wallis, "Regional frequency analysis", 1997, appendix.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Family = Literal["gamma", "lognormal", "pareto"]

_LEAST_TAIL, _LARGEST_TAIL = 0.1, 0.5  # share of the scores that a tail is fitted to
_TAIL_TO_FALSE_ALARMS = 2.5


def fitted_quantile(family: Family, scores: NDArray[np.float64], quantile: float) -> float:
    """The quantile of a distribution fitted to scores (clip,); NaN where they have no such distribution.

    Args:
        family: ``gamma`` and ``lognormal`` have a location of their own, either may be skewed to the left, and without
            skew both are the normal distribution; ``pareto`` is the generalized Pareto distribution of the highest
            scores alone.
        scores: At least 4.
        quantile: In (0, 1).
    """
    centre = float(np.median(scores))  # of which moments would drown in a large mean
    with np.errstate(all="ignore"):  # what cannot be computed is NaN
        return centre + float(_FAMILIES[family](np.sort(scores - centre), quantile))


def tail_share(quantile: float) -> float:
    """Share of the scores, the highest, that ``pareto`` is fitted to."""
    return min(max(_TAIL_TO_FALSE_ALARMS * (1 - quantile), _LEAST_TAIL), _LARGEST_TAIL)


class LMoments(NamedTuple):
    """Mean, half the mean difference of two scores, and the skewness, which lies in (-1, 1)."""

    mean: float
    scale: float
    skewness: float


def l_moments(ordered: NDArray[np.float64]) -> LMoments:
    """Unbiased L-moments of scores (clip,) in ascending order."""
    size, rank = len(ordered), np.arange(len(ordered))
    first = ordered.mean()
    second = (rank * ordered).mean() / (size - 1)
    third = (rank * (rank - 1) * ordered).mean() / ((size - 1) * (size - 2))
    scale = 2 * second - first
    return LMoments(first, scale, (6 * third - 6 * second + first) / scale)


def _gamma(ordered: NDArray[np.float64], quantile: float) -> float:
    mean, scale, skewness = l_moments(ordered)
    size = abs(skewness)
    if size < 1e-6:
        return _normal(mean, scale, quantile)
    if skewness < -1 / 3:  # its density would be infinite at the upper end
        return np.nan
    # the shape, to 5e-5 of it
    if size < 1 / 3:
        z = 3 * np.pi * size**2
        shape = (1 + 0.2906 * z) / (z + 0.1882 * z**2 + 0.0442 * z**3)
    else:
        z = 1 - size
        shape = (0.36067 * z - 0.59567 * z**2 + 0.25361 * z**3) / (
            1 - 2.78861 * z + 2.56096 * z**2 - 0.77045 * z**3
        )
    unit = np.sqrt(np.pi) * scale * np.exp(special.gammaln(shape) - special.gammaln(shape + 0.5))
    if skewness > 0:
        return mean + unit * (special.gammaincinv(shape, quantile) - shape)
    return mean - unit * (special.gammainccinv(shape, quantile) - shape)


def _lognormal(ordered: NDArray[np.float64], quantile: float) -> float:
    mean, scale, skewness = l_moments(ordered)
    if abs(skewness) < 1e-6:
        return _normal(mean, scale, quantile)
    if abs(skewness) > 0.94:  # beyond what the formula knows
        return np.nan
    square = skewness**2
    # the standard deviation of the logarithm, to 2.5e-6
    sigma = skewness * np.polyval([-0.20360244, 1.8396733, -3.6544371, 2.0466534], square)
    sigma /= np.polyval([-0.21741801, 1.2420401, -2.0182173, 1.0], square)
    unit = scale * np.exp(-(sigma**2) / 2) / special.erf(sigma / 2)
    return mean + unit * (np.exp(sigma * special.ndtri(quantile)) - np.exp(sigma**2 / 2))


def _normal(mean: float, scale: float, quantile: float) -> float:
    return mean + np.sqrt(np.pi) * scale * special.ndtri(quantile)


def _pareto(ordered: NDArray[np.float64], quantile: float) -> float:
    begin = float(np.quantile(ordered, 1 - tail_share(quantile)))
    excess = ordered[ordered > begin] - begin
    rank, mean = np.arange(len(excess)), excess.mean()
    scale = 2 * (rank * excess).mean() / (len(excess) - 1) - mean
    shape = 2 - mean / scale  # below 0 it ends, 0 is exponential
    beyond = (1 - quantile) * len(ordered) / len(excess)
    return begin + mean * (1 - shape) * special.boxcox(1 / beyond, shape)


_FAMILIES: Mapping[Family, Callable[[NDArray[np.float64], float], float]] = MappingProxyType(
    {"gamma": _gamma, "lognormal": _lognormal, "pareto": _pareto}
)
