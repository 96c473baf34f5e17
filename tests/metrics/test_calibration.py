"""Calibration and its ideal cost: optimality, invariances, and definitions written down naively in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from lightning_modules.metrics import MinCllr
from lightning_modules.metrics.functional import cllr, fit_calibration, min_cllr


def trials(seed=0, num=400, systems=2):
    """Scores of systems that err differently, (trials, systems), and labels, a fifth positive."""
    rng = np.random.default_rng(seed)
    is_positive = np.arange(num) % 5 == 0
    return rng.normal(size=(num, systems)) * 3 + is_positive[:, None] * np.arange(2, 2 + systems), is_positive


def naive_cost(theta, scores, is_positive, prior):
    """Prior-weighted cross-entropy of posteriors, trial by trial."""
    total = 0.0
    for row, positive in zip(scores, is_positive, strict=True):
        odds = (
            math.exp(sum(a * b for a, b in zip(theta, row, strict=False)) + theta[-1]) * prior / (1 - prior)
        )
        posterior = odds / (1 + odds)
        share = prior / is_positive.sum() if positive else (1 - prior) / (~is_positive).sum()
        total -= share * math.log(posterior if positive else 1 - posterior)
    return total


@pytest.mark.parametrize("prior", [0.5, 0.05, 0.655])
def test_equals_a_general_minimiser(prior):
    scores, is_positive = trials(num=60)
    fitted = fit_calibration(scores, is_positive, prior=prior)
    arguments = (scores, is_positive, prior)
    found = minimize(naive_cost, np.zeros(3), args=arguments, method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose([*fitted.scale, fitted.offset], found.x, rtol=0, atol=1e-6)
    assert naive_cost([*fitted.scale, fitted.offset], *arguments) <= found.fun + 1e-15


@given(st.integers(0, 10_000), st.floats(0.01, 0.99))
def test_gradient_vanishes(seed, prior):
    scores, is_positive = trials(seed, num=60)
    ratios = fit_calibration(scores, is_positive, prior=prior)(scores)
    posterior = 1 / (1 + np.exp(-ratios) * (1 - prior) / prior)
    weights = np.where(is_positive, prior / is_positive.sum(), (1 - prior) / (~is_positive).sum())
    residual = weights * (posterior - is_positive)
    np.testing.assert_allclose([*(residual @ scores), residual.sum()], 0, atol=1e-10)


@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3), st.booleans())
def test_affine_maps_of_scores_change_nothing(scale, offset, negate):
    scores, is_positive = trials(systems=1)
    mapped = scores * (-scale if negate else scale) + offset
    expected = fit_calibration(scores, is_positive)(scores)
    np.testing.assert_allclose(fit_calibration(mapped, is_positive)(mapped), expected, rtol=0, atol=1e-8)


def test_fusion_with_itself_changes_nothing():
    scores, is_positive = trials(systems=1)
    one = fit_calibration(scores[:, 0], is_positive)
    both = fit_calibration(np.hstack([scores, scores]), is_positive)
    assert both.scale == pytest.approx((one.scale[0] / 2, one.scale[0] / 2), abs=1e-12)
    assert both.offset == pytest.approx(one.offset, abs=1e-12)


def test_fusion_costs_no_more_than_each_system():
    scores, is_positive = trials()
    fused = cllr(fit_calibration(scores, is_positive)(scores), is_positive)
    for system in scores.T:
        calibrated = fit_calibration(system, is_positive)(system)
        assert fused < cllr(calibrated, is_positive) < cllr(system, is_positive)


def test_gaussian_scores_get_their_ratio():
    rng = np.random.default_rng(0)
    is_positive = np.arange(200_000) % 2 == 0
    scores = rng.normal(size=200_000) + 2 * is_positive  # log ratio 2 s - 2
    fitted = fit_calibration(scores, is_positive)
    assert [*fitted.scale, fitted.offset] == pytest.approx([2, -2], abs=0.03)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([0.0, 1.0, 2.0, 3.0], "without error"),
        ([0.0, 1.0, 1.0, 3.0], "without error"),  # but for a tie
        ([3.0, 2.0, 1.0, 0.0], "without error"),  # inverted
        ([1.0, 1.0, 1.0, 1.0], "all scores of system 1 are equal"),
        ([1.0, math.nan, 1.0, 1.0], "score 1 is nan"),
    ],
)
def test_what_has_no_calibration_is_one_line(scores, message):
    with pytest.raises(ValueError, match=message) as caught:
        fit_calibration(scores, [False, False, True, True])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("constant", [0.1, -4.7])
def test_equal_scores_are_refused_whose_mean_is_rounded(constant):
    labels = np.arange(61) % 3 == 0
    systems = np.column_stack([np.random.default_rng(0).normal(size=61), np.full(61, constant)])
    assert systems[:, 1].std() > 0
    with pytest.raises(ValueError, match="all scores of system 2 are equal"):
        fit_calibration(systems, labels)


def test_a_prior_is_a_probability():
    with pytest.raises(ValueError, match="prior 1: expected a probability"):
        fit_calibration([0.0, 1.0], [False, True], prior=1)


def naive_min_cllr(scores, is_positive):
    """Pools neighbours, from groups of equal scores, until the proportion of positives rises."""
    blocks = []
    for value in sorted(set(scores)):
        labels = [p for s, p in zip(scores, is_positive, strict=True) if s == value]
        blocks.append([sum(labels), len(labels) - sum(labels)])
        while len(blocks) > 1 and blocks[-2][0] * sum(blocks[-1]) >= blocks[-1][0] * sum(blocks[-2]):
            p, n = blocks.pop()
            blocks[-1] = [blocks[-1][0] + p, blocks[-1][1] + n]
    num_p, num_n = sum(p for p, _ in blocks), sum(n for _, n in blocks)
    cost = 0.0
    for p, n in blocks:
        cost += p / num_p * math.log2(1 + n * num_p / (num_n * p)) if p else 0
        cost += n / num_n * math.log2(1 + p * num_n / (num_p * n)) if n else 0
    return cost / 2


@given(st.lists(st.tuples(st.integers(-8, 8), st.booleans()), min_size=1, max_size=40))
def test_min_cllr_equals_its_definition_and_bounds_cllr(drawn):
    scores = [0.0, 0.5, *(value / 2 for value, _ in drawn)]
    is_positive = [True, False, *(label for _, label in drawn)]
    found = float(min_cllr(scores, is_positive))
    assert found == pytest.approx(naive_min_cllr(scores, is_positive), abs=1e-12)
    assert found <= float(cllr(scores, is_positive)) + 1e-12
    grown = [math.sinh(3 * score) - 7 for score in scores]
    assert float(min_cllr(grown, is_positive)) == pytest.approx(found, abs=1e-12)


def test_min_cllr_by_hand_and_as_a_metric():
    assert float(min_cllr([3.0, 2.0, 1.0, 0.0], [True, True, False, False])) == 0
    assert float(min_cllr([0.0, 1.0], [True, False])) == 1  # the wrong way round: pooled, it says nothing
    metric = MinCllr()
    metric.update(torch.tensor([0.0, 1.0]), torch.tensor([1, 0]))
    assert float(metric.compute()) == 1
