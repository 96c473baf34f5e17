"""Paired tests of figures: against scipy where it is exact, and the corners."""

import math

import numpy as np
import pytest
from scipy import stats

from lightning_modules.metrics.functional.paired_values import compare_values


@pytest.mark.parametrize("num_pairs", [2, 3, 8, 23])
def test_equals_scipy_on_figures_without_ties(num_pairs):
    a, b = np.random.default_rng(num_pairs).normal(size=(2, num_pairs))
    found = compare_values(a, b + 0.5)
    t = stats.ttest_rel(a, b + 0.5)
    assert found.p == pytest.approx(t.pvalue, rel=1e-12)
    assert found.difference / found.se == pytest.approx(t.statistic, rel=1e-12)
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(a - b - 0.5, method="exact")[1], rel=1e-9)


def test_ties_share_ranks_and_equal_pairs_have_none():
    found = compare_values([1, 1, 1, 4], [0, 0, 2, 4])  # ranks 2, 2, -2: any signs sum to 2
    assert found.p_wilcoxon == pytest.approx(1)
    assert compare_values([1, 1, 1, 4], [0, 0, 0, 4]).p_wilcoxon == pytest.approx(0.25)


def test_corners():
    assert compare_values([1, 2], [1, 2]).p == 1.0
    assert compare_values([2, 3], [1, 2]).p == 0.0
    one = compare_values([2], [1])
    assert (one.difference, math.isnan(one.p), math.isnan(one.se)) == (1.0, True, True)
    with pytest.raises(ValueError, match=r"of shapes \(2,\) and \(1,\)"):
        compare_values([1, 2], [1])
