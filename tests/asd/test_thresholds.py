"""Thresholds: every rule passes the share of fresh normal clips that is asked for, or says that it does not."""

import math
from typing import Any, NamedTuple, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from lightning_modules.asd.threshold_families import Family, fitted_quantile
from lightning_modules.asd.thresholds import Rule, decision_threshold, fit_threshold, passed_interval

RULES = get_args(Rule)
SCALES = (1e-4, 1e-2, 1.0, 1e2, 1e4)


class Mixture(NamedTuple):
    """Of a standard normal distribution and another."""

    share: float
    other: Any  # frozen

    def rvs(self, size, random_state):
        is_other = random_state.random(size) < self.share
        drawn = self.other.rvs(size, random_state=random_state)
        return np.where(is_other, drawn, random_state.normal(size=size))

    def cdf(self, value):
        return self.share * self.other.cdf(value) + (1 - self.share) * stats.norm.cdf(value)


class Negative(NamedTuple):
    """Of scores that are higher where a clip is more normal, turned round."""

    of: Any  # frozen

    def rvs(self, size, random_state):
        return -self.of.rvs(size, random_state=random_state)

    def cdf(self, value):
        return self.of.sf(-value)


DISTRIBUTIONS = {
    "normal": stats.norm(),
    "lognormal": stats.lognorm(0.8),
    "broad lognormal": stats.lognorm(1.0),
    "gamma": stats.gamma(3.0),
    "broad gamma": stats.gamma(1.2),
    "negative normal": Negative(stats.norm()),
    "negative lognormal": Negative(stats.lognorm(0.8)),
    "negative broad lognormal": Negative(stats.lognorm(1.0)),
    "negative gamma": Negative(stats.gamma(3.0)),
    "negative broad gamma": Negative(stats.gamma(1.2)),
    "bimodal": Mixture(0.5, stats.norm(6.0, 1.0)),
    "bimodal, few": Mixture(0.15, stats.norm(10.0, 2.0)),
    "bimodal, most": Mixture(0.9, stats.norm(6.0, 0.5)),
}


def passed_of(name: str, rule: Rule, size: int, draws: int) -> np.ndarray:
    """Share of all normal clips that the threshold of each draw lets pass; no threshold is far above all scores."""
    distribution, shares = DISTRIBUTIONS[name], []
    for draw in range(draws):
        scale = SCALES[draw % len(SCALES)]
        scores = scale * distribution.rvs(size, random_state=np.random.default_rng([size, draw]))
        threshold = fit_threshold(scores, rule=rule, quantile=0.9).value
        assert threshold <= scores.max() + np.ptp(scores)
        shares.append(distribution.cdf(threshold / scale))
    return np.array(shares)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_nine_of_ten_fresh_normals_pass(name):
    for rule in RULES:
        shares = passed_of(name, rule, 300, 20)
        assert ((shares >= 0.85) & (shares <= 0.95)).mean() >= 0.95, rule
        assert 0.8 <= passed_of(name, rule, 60, 10).mean() <= 0.97, rule


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_nine_of_ten_fresh_normals_pass_in_many_draws(rule):
    for name in DISTRIBUTIONS:
        for size in (20, 50, 100, 199, 200, 500, 990, 2000):
            shares = passed_of(name, rule, size, 200)
            inside = ((shares >= 0.85) & (shares <= 0.95)).mean()
            print(
                f"{rule}, {name}, n {size}: {inside:.1%} of draws within .85 to .95, mean {shares.mean():.3f}"
            )
            assert 0.8 <= shares.mean() <= 0.97, (name, size)
            assert size < 200 or inside >= 0.95, (name, size)


@pytest.mark.parametrize("rule", RULES)
def test_thresholds_move_and_grow_with_the_scores(rule):
    rng = np.random.default_rng(0)
    for scores in (
        rng.lognormal(0, 0.5, 990),
        -rng.gamma(2, 1, 300),
        rng.normal(size=120),
        rng.gamma(1, 1, 20),
    ):
        here = fit_threshold(scores, rule=rule, quantile=0.9)
        for scale in SCALES:
            for shift in (0.0, -7 * scale, 30 * scale):
                there = fit_threshold(scale * scores + shift, rule=rule, quantile=0.9)
                assert there.rule == here.rule
                assert there.value == pytest.approx(scale * here.value + shift, rel=1e-9, abs=1e-9 * scale)


@pytest.mark.parametrize(
    ("family", "distribution", "accuracy"),
    [
        ("gamma", stats.gamma(3.0, loc=-4.0, scale=2.0), 2e-3),
        ("gamma", stats.gamma(0.7, loc=5.0), 2e-3),
        ("gamma", Negative(stats.gamma(3.0, loc=-4.0)), 2e-3),
        ("gamma", stats.norm(-3.0, 0.1), 2e-3),
        ("lognormal", stats.lognorm(0.6, loc=-1.0, scale=np.exp(-6)), 2e-3),
        ("lognormal", stats.lognorm(1.0, loc=2.0), 2e-3),
        ("lognormal", Negative(stats.lognorm(0.8)), 2e-3),
        ("lognormal", stats.norm(), 2e-3),
        ("pareto", stats.genpareto(0.3, loc=1.0), 5e-3),
        ("pareto", stats.genpareto(-0.4), 5e-3),
        ("pareto", stats.expon(), 5e-3),
    ],
)
def test_a_fit_finds_the_distribution_that_scores_are_of(family: Family, distribution, accuracy):
    """Evenly spaced quantiles stand for a sample without chance."""
    turned = isinstance(distribution, Negative)
    of = distribution.of if turned else distribution
    even = (np.arange(40_000) + 0.5) / 40_000
    drawn = np.asarray(-of.ppf(even) if turned else of.ppf(even), np.float64)
    scores: NDArray[np.float64] = np.random.default_rng(0).permutation(drawn)
    for quantile in (0.8, 0.9, 0.99):
        expected = -of.ppf(1 - quantile) if turned else of.ppf(quantile)
        found = fitted_quantile(family, scores, quantile)
        assert found == pytest.approx(expected, abs=accuracy * of.std()), quantile


def test_conformal_is_the_smallest_score_that_keeps_the_promise():
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 100))  # 1 to 99
    assert fit_threshold(scores, rule="conformal", quantile=0.9).value == 90  # ceil(100 * 0.9)
    assert fit_threshold(scores, rule="conformal", quantile=0.905).value == 91
    assert (
        fit_threshold(scores[scores < 10], rule="conformal", quantile=0.9).value == 9
    )  # nine scores just do
    draws = np.random.default_rng(1).normal(size=(4000, 24))
    passed = [stats.norm.cdf(fit_threshold(each, rule="conformal", quantile=0.9).value) for each in draws]
    assert np.mean(passed) == pytest.approx(23 / 25, abs=0.003)  # ceil(25 * 0.9) of 25


def test_too_few_scores_for_a_promise_are_said():
    found = fit_threshold(np.array([0.3, 0.5, 0.2]), rule="conformal", quantile=0.9)
    assert (found.value, found.rule) == (0.5, "conformal")
    assert found.remark == (
        "the largest of 3 scores decides, which one normal clip in 4 exceeds: 0.1 of them takes 9 scores"
    )


@pytest.mark.parametrize(
    ("scores", "rule", "quantile", "decides", "remark"),
    [
        (np.arange(20.0), "gamma", 0.9, "conformal", "gamma takes 50 scores, here are 20: conformal decides"),
        (
            np.arange(70.0),
            "pareto",
            0.9,
            "conformal",
            "pareto takes 80 scores, here are 70: conformal decides",
        ),
        (np.full(100, -3.0), "gamma", 0.9, "conformal", "gamma cannot be fitted to these 100 scores"),
        (
            DISTRIBUTIONS["bimodal, few"].rvs(500, np.random.default_rng(0)),
            "gamma",
            0.9,
            "conformal",
            "does not fit",
        ),
        (np.random.default_rng(0).normal(size=200), "gamma", 0.999, "gamma", "decides above all 200 scores"),
    ],
)
def test_what_was_not_asked_for_is_said(scores, rule, quantile, decides, remark):
    found = fit_threshold(scores, rule=rule, quantile=quantile)
    assert found.rule == decides
    assert remark in found.remark
    if decides == "conformal":
        assert found.value == fit_threshold(scores, rule="conformal", quantile=quantile).value
    with pytest.warns(UserWarning, match=f"threshold: .*{remark}"):
        assert decision_threshold(scores, rule=rule, quantile=quantile) == found.value


def test_a_gamma_that_went_wrong_in_silence():
    """Maximum likelihood passed all of the first, 141 times above the largest, 6 % of the second, all of the third."""
    for scores in (
        1e-4 * np.random.default_rng(3).lognormal(0, 0.8, 990),
        np.random.default_rng(13).lognormal(0, 1, 990),
        -np.random.default_rng(0).gamma(1.2, 3, 990),
    ):
        threshold = fit_threshold(scores, rule="gamma", quantile=0.9).value
        assert (scores <= threshold).mean() == pytest.approx(0.9, abs=0.02)


def test_held_out_scores_that_pass_are_counted():
    scores = np.random.default_rng(0).gamma(3.0, 1.0, 500)
    for rule in RULES:
        found, fold = fit_threshold(scores, rule=rule, quantile=0.8), np.arange(500) % 5
        passed = 0
        for held_out in range(5):
            rest = fit_threshold(scores[fold != held_out], rule=rule, quantile=0.8)
            assert rest.rule == rule
            passed += (scores[fold == held_out] <= rest.value).sum()
        assert (found.rule, found.num_scores, found.num_passed) == (rule, 500, passed)


def test_the_interval_is_wilsons():
    expected = stats.binomtest(45, 50).proportion_ci(0.9, method="wilson")
    assert passed_interval(45, 50, 0.9) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert all(math.isnan(limit) for limit in passed_interval(0, 0))


@pytest.mark.parametrize(
    ("scores", "settings", "message"),
    [
        ([], {}, "found none at all"),
        ([1.0, np.nan, np.inf], {}, "found 2 of 3 that are not, e.g. nan"),
        ([1.0], {"rule": "gama"}, "threshold 'gama': expected one of conformal, percentile, gamma"),
        ([1.0], {"quantile": 90}, "threshold_quantile 90: expected a share between 0 and 1"),
    ],
)
def test_wrong_use_is_one_line(scores, settings, message):
    with pytest.raises(ValueError, match=message) as error:
        decision_threshold(np.array(scores), **settings)
    assert "\n" not in str(error.value)
