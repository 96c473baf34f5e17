"""Error rates over several test sets, and the two rules of the EER, against a few lines of NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_modules.metrics.functional import (
    bootstrap_interval,
    det_curve,
    eer_of_curve,
    equal_error_rate,
    mean_eer,
    pooled_eer,
    spoof_rejection_rate,
)


def plain_eer(scores, is_positive):
    """The rule of the ASVspoof challenges and of the Speech DF Arena: bona fide first among ties, first of equals."""
    order = np.lexsort([~is_positive, scores])
    rejected = np.concatenate([[0], is_positive[order].cumsum()])
    miss = rejected / is_positive.sum()
    false_alarm = 1 - (np.arange(len(scores) + 1) - rejected) / (~is_positive).sum()
    at = np.abs(miss - false_alarm).argmin()
    return (miss[at] + false_alarm[at]) / 2


def crossing_of_the_roc(scores, is_positive):
    """Where the lines between the corners of distinct thresholds meet miss = false alarm."""
    cuts = np.concatenate([[-np.inf], np.unique(scores)])
    miss = np.array([(scores[is_positive] <= cut).mean() for cut in cuts])
    false_alarm = np.array([(scores[~is_positive] > cut).mean() for cut in cuts])
    excess = miss - false_alarm
    return np.interp(0, excess, miss)


def random_sets(seed, *, decimals=None):
    rng = np.random.default_rng(seed)
    sets = {}
    for name, shift in (("a", 0), ("b", 2), ("c", -1)):
        is_positive = rng.random(rng.integers(40, 400)) < 0.3
        is_positive[:2] = True, False
        scores = rng.normal(size=len(is_positive)) + 1.5 * is_positive + shift
        sets[name] = scores if decimals is None else scores.round(decimals), is_positive
    return sets


@pytest.mark.parametrize("decimals", [None, 1, 0])
@pytest.mark.parametrize("seed", range(5))
def test_pooled_and_mean_eer(seed, decimals):
    sets = random_sets(seed, decimals=decimals)
    scores, labels = (np.concatenate(column) for column in zip(*sets.values(), strict=True))
    assert float(pooled_eer(sets)[0]) == pytest.approx(plain_eer(scores, labels), abs=1e-12)
    assert float(mean_eer(sets)) == pytest.approx(
        np.mean([plain_eer(*each) for each in sets.values()]), abs=1e-12
    )
    for rule in ("asvspoof", "interpolated"):
        assert pooled_eer(sets, rule=rule) == equal_error_rate(scores, labels, rule=rule)


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=1, max_size=60))
def test_interpolated_eer_is_the_crossing_of_the_roc(drawn):
    scores, labels = map(np.array, zip(*drawn, (0, True), (1, False), strict=True))
    eer, threshold = equal_error_rate(scores, labels, rule="interpolated")
    assert float(eer) == pytest.approx(crossing_of_the_roc(scores, labels), abs=1e-12)
    assert scores.min() - 0.001 <= float(threshold) <= scores.max()


def test_what_ties_cost():
    """Scores that say nothing: all wrong by the official order of ties, chance where ties share a threshold."""
    scores, labels = [0.0] * 10, [True, False] * 5
    assert float(equal_error_rate(scores, labels)[0]) == 1
    assert float(equal_error_rate(scores, labels, rule="interpolated")[0]) == 0.5


def test_interpolated_eer_of_scores_beyond_the_step_of_the_first_threshold():
    scores, labels = [1e17, 2e17, 3e17, 4e17], [False, True, False, True]
    assert float(equal_error_rate(scores, labels, rule="interpolated")[0]) == 0.5


def test_bootstrap_takes_the_rule():
    (scores, labels), *_ = random_sets(0, decimals=0).values()

    def interpolated(drawn, positive):
        return equal_error_rate(drawn, positive, rule="interpolated")[0]

    low, high = bootstrap_interval(interpolated, scores, labels, draws=20)
    assert low <= crossing_of_the_roc(scores, labels) <= high
    assert eer_of_curve(det_curve(scores, labels), rule="interpolated")[0] == interpolated(scores, labels)


def test_spoof_rejection_rate_at_the_threshold_of_another_set():
    _, threshold = equal_error_rate([0.0, 1.0, 2.0, 3.0], [False, True, False, True])
    assert float(threshold) == 1
    assert float(spoof_rejection_rate([0.5, 0.9, 1.0, 7.0], threshold=threshold)) == 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pooled_eer({}), "no set of trials"),
        (lambda: mean_eer({}), "no set of trials"),
        (
            lambda: mean_eer({"a": ([0.0, 1.0], [1, 0]), "wild": ([0.0], [0])}),
            "wild: none of the 1 trials is bona fide",
        ),
        (lambda: pooled_eer({"wild": ([0.0, 1.0], [0])}), r"wild: .*not \(2,\) and \(1,\)"),
        (lambda: pooled_eer({"a": ([0.0], [0]), "b": ([1.0], [0])}), "none of the 2 trials is bona fide"),
        (lambda: spoof_rejection_rate([], threshold=0), "not empty"),
        (lambda: spoof_rejection_rate([np.nan], threshold=0), "score 0 is nan"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_sets_of_one_class_count_in_the_pool():
    sets = {"spoofs": ([0.0, 3.0], [0, 0]), "genuine": ([1.0, 2.0], [1, 1])}
    assert float(pooled_eer(sets)[0]) == plain_eer(
        np.array([0.0, 3, 1, 2]), np.array([False, False, True, True])
    )
