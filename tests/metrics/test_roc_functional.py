"""AUC and partial AUC against naive float64 definitions, hand-derived values, and their properties."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_modules.metrics import AreaUnderROC, PartialAUC
from lightning_modules.metrics.functional import auc, partial_auc, roc_curve, top_negatives_auc


@st.composite
def clips(draw, *, ties: bool = True):
    """Scores on a coarse grid (so that ties abound) or all distinct, and labels with both classes."""
    grid = st.integers(-20, 20).map(lambda step: step / 4)
    scores = draw(st.lists(grid, min_size=2, max_size=41, unique=not ties))
    labels = draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    labels[:2] = True, False
    return np.array(scores), np.array(labels)


rates = st.sampled_from([0.01, 0.1, 0.25, 1 / 3, 0.5, 0.999, 1.0])


def naive_auc(scores, is_positive):
    """Compares every positive with every negative."""
    pairs = [(p, n) for p in scores[is_positive] for n in scores[~is_positive]]
    return math.fsum((p > n) + (p == n) / 2 for p, n in pairs) / len(pairs)


def naive_partial_area(scores, is_positive, max_fpr):
    """Walks over all thresholds, interpolates the last segment, and sums trapezoids."""
    corners = [(0.0, 0.0)]
    for threshold in sorted(set(scores), reverse=True):
        accepted = scores >= threshold
        corners.append((accepted[~is_positive].mean(), accepted[is_positive].mean()))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(corners):
        if x0 < max_fpr and x1 > x0:
            end = min(x1, max_fpr)
            area += (end - x0) * (y0 + y0 + (y1 - y0) * (end - x0) / (x1 - x0)) / 2
    return area


@given(clips(), rates)
def test_areas_equal_naive_definitions(scored, max_fpr):
    scores, is_positive = scored
    assert float(auc(scores, is_positive)) == pytest.approx(naive_auc(scores, is_positive), abs=1e-12)
    area = naive_partial_area(scores, is_positive, max_fpr)
    raw = float(partial_auc(scores, is_positive, max_fpr=max_fpr, standardized=False))
    assert raw == pytest.approx(area, abs=1e-12)
    low, high = max_fpr**2 / 2, max_fpr
    standardized = float(partial_auc(scores, is_positive, max_fpr=max_fpr))
    assert standardized == pytest.approx(0.5 * (1 + (area - low) / (high - low)), abs=1e-12)


@given(clips())
def test_curve_bounds_the_area(scored):
    false_alarm, hit = roc_curve(*scored)
    assert (false_alarm[0], hit[0], false_alarm[-1], hit[-1]) == (0, 0, 1, 1)
    assert float(torch.trapezoid(hit, false_alarm)) == pytest.approx(float(auc(*scored)), abs=1e-12)


@given(clips(), st.integers(2, 100))
def test_top_negatives_equal_the_definition_of_the_papers(scored, percent):
    scores, is_positive = scored
    max_fpr = percent / 100
    negatives = sorted(scores[~is_positive], reverse=True)
    kept = negatives[: percent * len(negatives) // 100]
    if not kept:
        with pytest.raises(ValueError, match="negative clips is none"):
            top_negatives_auc(scores, is_positive, max_fpr=max_fpr)
        return
    expected = np.mean([p > n for p in scores[is_positive] for n in kept])
    assert float(top_negatives_auc(scores, is_positive, max_fpr=max_fpr)) == pytest.approx(
        expected, abs=1e-12
    )


@given(clips(), st.randoms())
def test_only_the_order_of_scores_counts(scored, random):
    scores, is_positive = scored
    rows = list(range(len(scores)))
    random.shuffle(rows)
    for metric in (auc, partial_auc):
        value = metric(scores, is_positive)
        assert metric(scores[rows], is_positive[rows]) == value
        assert metric(np.sinh(scores) * 1e300, is_positive) == value, "huge"
        assert metric(-1e4 + 1e-3 * scores, is_positive) == value
        assert metric(torch.tensor(scores, dtype=torch.float32), is_positive) == value


@given(clips())
def test_negated_scores_mirror_the_area(scored):
    scores, is_positive = scored
    assert float(auc(-scores, is_positive)) == pytest.approx(1 - float(auc(scores, is_positive)), abs=1e-12)
    assert float(auc(scores, ~is_positive)) == pytest.approx(1 - float(auc(scores, is_positive)), abs=1e-12)


def test_values_derived_by_hand():
    is_positive = torch.arange(10) >= 5
    assert auc(torch.arange(10.0), is_positive) == partial_auc(torch.arange(10.0), is_positive) == 1
    assert auc(torch.zeros(10), is_positive) == partial_auc(torch.zeros(10), is_positive) == 0.5
    assert auc(-torch.arange(10.0), is_positive) == 0
    # of the least area 0, standardising makes (1 - 0.005 / 0.095) / 2
    assert float(partial_auc(-torch.arange(10.0), is_positive)) == pytest.approx(9 / 19)
    # one of 20 normal clips lies above half of the anomalies: area 0.05 * 0.5 + 0.05
    scores, labels = [2.0, 0.5, 1.0, *[0.0] * 19], [True, True, False, *[False] * 19]
    assert float(partial_auc(scores, labels, standardized=False)) == pytest.approx(0.075)
    assert float(partial_auc(scores, labels)) == pytest.approx((1 + 0.07 / 0.095) / 2)
    assert top_negatives_auc(scores, labels) == 0.75
    assert auc(scores, labels).dtype == torch.float64


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([1.0, 2.0], [True, True], "none of the 2 clips is negative"),
        ([1.0, 2.0], [False, False], "none of the 2 clips is positive"),
        ([1.0, math.nan], [True, False], "score 1 is nan"),
        ([math.inf, 1.0], [True, False], "score 0 is inf"),
        ([1.0, 2.0, 3.0], [True, False], "equally long"),
    ],
)
def test_undefined_areas_are_refused(scores, labels, message):
    for metric in (auc, partial_auc, roc_curve, top_negatives_auc):
        with pytest.raises(ValueError, match=message):
            metric(scores, labels)


@pytest.mark.parametrize("max_fpr", [0, -0.1, 1.1, math.nan])
def test_wrong_rates_are_refused(max_fpr):
    for metric in (partial_auc, top_negatives_auc):
        with pytest.raises(ValueError, match=f"max_fpr={max_fpr} must be"):
            metric([1.0, 2.0], [True, False], max_fpr=max_fpr)
    with pytest.raises(ValueError, match="must be"):
        PartialAUC(max_fpr=max_fpr)


def test_metric_classes_keep_large_scores_apart():
    scores = torch.tensor([1000.0, 1001.0, 1002.0, 1003.0])  # a sigmoid makes them all 1
    target = torch.tensor([0, 0, 1, 1])
    whole, part, half = AreaUnderROC(), PartialAUC(), PartialAUC(max_fpr=0.5)
    for metric in (whole, part, half):
        for row in range(4):
            metric.update(scores[[row]], target[[row]], torch.tensor([row]))
        assert metric.compute() == 1
        assert metric.higher_is_better
    part.reset()
    part.update(scores[:2], target[:2])
    with pytest.warns(UserWarning, match="PartialAUC is undefined"):
        assert part.compute().isnan()
