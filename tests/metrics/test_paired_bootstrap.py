"""The paired bootstrap, beside figures of the drawn trials written out."""

import numpy as np
import pytest

from lightning_modules.metrics.functional import auc, equal_error_rate, min_dcf
from lightning_modules.metrics.functional.bootstrap import bootstrap_interval, drawn_counts
from lightning_modules.metrics.functional.paired_bootstrap import (
    METRICS,
    BootstrapDifference,
    paired_bootstrap,
)

FIGURES = {"eer": lambda *trials: equal_error_rate(*trials)[0], "min_dcf": min_dcf, "auc": auc}


def trials(seed, *, decimals=None, runs=2, size=150):
    rng = np.random.default_rng(seed)
    is_positive = rng.random(size) < rng.uniform(0.2, 0.8)
    scores = rng.normal(size=(2 * runs, size)) + rng.uniform(0.5, 2) * is_positive
    scores = scores if decimals is None else scores.round(decimals)
    return scores[:runs], scores[runs:], is_positive


def written_out(metric, runs, is_positive, times):
    """Mean figure of the trials, each repeated as often as it was drawn."""
    repeated = np.repeat(is_positive, times)
    return np.mean([float(FIGURES[metric](np.repeat(run, times), repeated)) for run in runs])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("seed", "decimals"), [(0, None), (1, 1), (2, 0)])
def test_equals_figures_of_the_drawn_trials(metric, seed, decimals):
    a, b, is_positive = trials(seed, decimals=decimals)
    found = paired_bootstrap(metric, a, b, is_positive, draws=40, seed=seed)
    ones = np.ones(len(is_positive), int)
    expected = [written_out(metric, runs, is_positive, ones) for runs in (a, b)]
    assert found.figure == pytest.approx(expected, abs=1e-14)
    drawn = []
    for of_positives, of_negatives in drawn_counts(
        is_positive.sum(), (~is_positive).sum(), draws=40, seed=seed
    ):
        assert (of_positives.sum(), of_negatives.sum()) == (is_positive.sum(), (~is_positive).sum())
        times = ones.copy()
        times[is_positive], times[~is_positive] = of_positives.numpy(), of_negatives.numpy()
        figure_a, figure_b = (written_out(metric, runs, is_positive, times) for runs in (a, b))
        drawn.append(figure_a - figure_b)
    assert found.interval == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=1e-14)
    less = min(np.sum(np.array(drawn) <= 1e-15), np.sum(np.array(drawn) >= -1e-15))
    assert found.p == pytest.approx(min(1, 2 * (less + 1) / 41))


def test_draws_are_those_of_the_interval_of_one_detector():
    (scores,), _, is_positive = trials(3, runs=1)
    order = np.lexsort((~is_positive, scores))  # its draws are of sorted trials
    scores, is_positive = scores[order], is_positive[order]
    perfect = is_positive.astype(float)
    found = paired_bootstrap("eer", scores, perfect, is_positive, draws=100)
    assert found.interval == pytest.approx(
        bootstrap_interval(lambda *each: equal_error_rate(*each)[0], scores, is_positive, draws=100)
    )


def test_equal_detectors_do_not_differ():
    a, _, is_positive = trials(4)
    found = paired_bootstrap("eer", a, a, is_positive, draws=20)
    assert (found.difference, found.interval, found.p) == (0, (0, 0), 1)


def test_p_and_interval_of_differences():
    found = BootstrapDifference.of_draws((0.3, 0.2), np.linspace(-0.02, 0.18, 101))
    assert found.difference == pytest.approx(0.1)
    assert found.interval == pytest.approx((-0.015, 0.175))
    assert found.p == pytest.approx(2 * 12 / 102)  # eleven are not above 0, and the one that was seen


def test_the_interval_covers_the_true_difference():
    """Two detectors of equal error rate 15.87 % and 30.85 %, 20 samples: the 95 % interval covers all but a few."""
    rng = np.random.default_rng(5)
    is_positive = np.arange(600) < 300
    true = (
        0.15865525393145707 - 0.3085375387259869
    )  # of means one, and a half, standard deviation from the threshold
    covered = 0
    for _ in range(20):
        a, b = (rng.normal(size=600) + shift * is_positive for shift in (2, 1))
        low, high = paired_bootstrap("eer", a, b, is_positive, draws=100).interval
        covered += low <= true <= high
    assert covered >= 16  # fewer come once in 3000 times


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("f1", [[0, 1]], [[0, 1]], [True, False]), "metric 'f1' is none of eer, min_dcf, auc"),
        (("eer", [[0, 1]], [[0, 1, 2]], [True, False]), "equally long"),
        (("eer", [[0, 1]], [[0, 1]], [True, True]), "none of the 2 trials is spoofed"),
    ],
)
def test_what_cannot_be_compared(arguments, message):
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(*arguments)
