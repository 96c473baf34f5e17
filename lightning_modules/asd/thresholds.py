"""Decision thresholds from the scores of normal clips alone."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Rule = Literal["gamma", "percentile"]


def decision_threshold(scores: NDArray[np.float64], *, rule: Rule = "gamma", quantile: float = 0.9) -> float:
    """Score above which a clip is called anomalous.

    Args:
        scores: (clip,), of normal training clips.
        rule: Quantile of a gamma distribution fitted to the scores, as the DCASE baselines do since 2021, or of the
            scores themselves.
        quantile: Share of normal clips that should stay below, in (0, 1).
    """
    if rule == "gamma" and scores.std() > 0:
        shape, location, scale = stats.gamma.fit(scores)
        threshold = float(stats.gamma.ppf(quantile, shape, loc=location, scale=scale))
        if np.isfinite(threshold):
            return threshold
    return float(np.quantile(scores, quantile))
