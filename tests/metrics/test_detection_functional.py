"""Detection metrics against hand-derived values, naive float64 definitions, and their properties."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_modules.metrics.functional import (
    AsvErrorRates,
    act_dcf,
    asv_error_rates,
    bootstrap_interval,
    bootstrap_intervals,
    cllr,
    det_curve,
    eer_of_curve,
    equal_error_rate,
    looks_inverted,
    min_dcf,
    min_dcf_of_curve,
    min_tdcf,
    min_tdcf_of_curve,
)

ASV = AsvErrorRates(miss=0.025, false_alarm=0.025, spoof_false_alarm=0.76)


@st.composite
def trials(draw, *, ties: bool = True):
    """Scores on a coarse grid (so that ties abound) or all distinct, and labels with both classes."""
    grid = st.integers(-20, 20).map(lambda step: step / 4)
    scores = draw(st.lists(grid, min_size=3, max_size=60, unique=not ties))
    labels = draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    labels[:2] = True, False
    return np.array(scores), np.array(labels)


def naive_curve(scores, is_positive):
    """Rejects trials one by one from the lowest, bona fide first among equals, and counts."""
    order = sorted(range(len(scores)), key=lambda row: (scores[row], not is_positive[row]))
    points = [(0.0, 1.0)]
    for accepted_from in range(1, len(order) + 1):
        rejected = is_positive[order[:accepted_from]]
        accepted = is_positive[order[accepted_from:]]
        points.append((rejected.sum() / is_positive.sum(), (~accepted).sum() / (~is_positive).sum()))
    return points


@given(trials())
def test_metrics_equal_naive_definitions(scored):
    scores, is_positive = scored
    points = naive_curve(scores, is_positive)
    miss, false_alarm = min(points, key=lambda point: abs(point[0] - point[1]))
    assert float(equal_error_rate(scores, is_positive)[0]) == pytest.approx(
        (miss + false_alarm) / 2, abs=1e-12
    )
    cost = min(0.95 * miss + 0.5 * false_alarm for miss, false_alarm in points) / 0.5
    assert float(min_dcf(scores, is_positive)) == pytest.approx(cost, abs=1e-12)
    if len(set(scores)) > 2:
        c1 = 0.9405 * (1 - 0.025) - 0.0095 * 10 * 0.025
        c2 = 10 * 0.05 * 0.76
        legacy = min(c1 * miss + c2 * false_alarm for miss, false_alarm in points) / min(c1, c2)
        assert float(min_tdcf(scores, is_positive, asv=ASV)) == pytest.approx(legacy, abs=1e-12)
        c0 = 0.9405 - c1
        revised = min(c0 + c1 * miss + c2 * false_alarm for miss, false_alarm in points) / (c0 + min(c1, c2))
        assert float(min_tdcf(scores, is_positive, asv=ASV, revision=2021)) == pytest.approx(
            revised, abs=1e-12
        )


@given(trials(), st.randoms())
def test_order_of_trials_and_monotone_transforms_change_nothing(scored, random):
    scores, is_positive = scored
    rows = list(range(len(scores)))
    random.shuffle(rows)
    for metric in (lambda *given: equal_error_rate(*given)[0], min_dcf):
        value = float(metric(scores, is_positive))
        assert float(metric(scores[rows], is_positive[rows])) == value
        assert float(metric(np.exp(scores) * 3 + 1, is_positive)) == value


@given(trials(ties=False))
def test_swapping_classes_and_negating_keeps_the_error_rate(scored):
    scores, is_positive = scored
    eer = float(equal_error_rate(scores, is_positive)[0])
    swapped = float(equal_error_rate(-scores, ~is_positive)[0])
    step = 1 / is_positive.sum() + 1 / (~is_positive).sum()  # the curve's points are this far apart
    assert abs(eer - swapped) <= step
    assert abs(eer + float(equal_error_rate(-scores, is_positive)[0]) - 1) <= step


@given(trials())
def test_costs_stay_in_range(scored):
    scores, is_positive = scored
    assert 0 <= float(equal_error_rate(scores, is_positive)[0]) <= 1
    assert 0 <= float(min_dcf(scores, is_positive)) <= 1
    assert float(act_dcf(scores, is_positive)) >= float(min_dcf(scores, is_positive)) - 1e-12
    assert float(cllr(scores, is_positive)) >= 0


def test_perfect_and_worst_separation():
    scores, is_positive = torch.arange(10.0), torch.arange(10) >= 5
    assert equal_error_rate(scores, is_positive) == (0, 4)
    assert min_dcf(scores, is_positive) == 0
    assert min_tdcf(scores, is_positive, asv=ASV) == 0
    c0, c1, c2 = ASV.costs(revision=2021)
    floor = float(min_tdcf(scores, is_positive, asv=ASV, revision=2021))
    assert floor == pytest.approx(c0 / (c0 + min(c1, c2)))
    assert equal_error_rate(-scores, is_positive)[0] == 1
    assert min_dcf(-scores, is_positive) == pytest.approx(1)
    assert min_tdcf(-scores, is_positive, asv=ASV) == pytest.approx(1)


def test_values_derived_by_hand():
    scores, is_positive = [0.1, 0.4, 0.35, 0.8], [False, False, True, True]
    miss, false_alarm, threshold = det_curve(scores, is_positive)
    assert miss.tolist() == [0, 0, 0.5, 0.5, 1]
    assert false_alarm.tolist() == [1, 0.5, 0.5, 0, 0]
    assert threshold.tolist() == pytest.approx([0.099, 0.1, 0.35, 0.4, 0.8])
    assert act_dcf([-1.0, 2.0, -0.5, -3.0], [True, True, False, False]) == pytest.approx(0.475 / 0.5 + 0.5)
    assert cllr([math.log(3), 0.0], [True, False]) == pytest.approx((math.log2(4 / 3) + 1) / 2)
    assert cllr([-1e4, 1e4], [True, False]) == pytest.approx(1e4 / math.log(2)), "no overflow"


def test_ties_count_against_the_system():
    assert equal_error_rate([1.0, 1.0], [True, False])[0] == 1
    assert equal_error_rate([1.0, 1.0], [False, True])[0] == 1


def test_asv_rates_at_the_equal_error_threshold():
    rates = asv_error_rates([1.0, 2.0, 3.0, 4.0], [0.0, 0.5, 0.7, 2.5], [2.0, 1.0, 0.0])
    # officially the curves meet once target 1.0 is rejected, yet a score at the threshold is accepted
    assert rates == AsvErrorRates(miss=0.0, false_alarm=0.25, spoof_false_alarm=2 / 3)


def test_float32_scores_are_exact():
    generator = torch.Generator().manual_seed(0)
    scores, is_positive = torch.randn(500, generator=generator), torch.arange(500) % 3 == 0
    assert equal_error_rate(scores, is_positive) == equal_error_rate(
        scores.double().numpy(), is_positive.numpy()
    )


def test_inverted_scores_are_noticed():
    scores, is_positive = torch.arange(100.0), torch.arange(100) >= 40
    assert looks_inverted(-scores, is_positive)
    assert not looks_inverted(scores, is_positive)
    assert not looks_inverted(scores % 2 + scores / 1e6, is_positive), "chance is not inversion"


def test_bootstrap_interval_covers_the_binomial_spread():
    generator = torch.Generator().manual_seed(1)
    is_positive = torch.arange(4000) < 1000
    scores = torch.randn(4000, generator=generator) + 2 * is_positive
    low, high = bootstrap_interval(lambda *given: equal_error_rate(*given)[0], scores, is_positive, draws=400)
    eer = float(equal_error_rate(scores, is_positive)[0])
    assert low < eer < high
    spread = 1.96 * math.sqrt(
        eer * (1 - eer) / 1000
    )  # of the smaller class, an upper bound of the half width
    assert spread / 3 < (high - low) / 2 < spread * 1.2
    again = bootstrap_interval(lambda *given: equal_error_rate(*given)[0], scores, is_positive, draws=400)
    assert (low, high) == again


def test_bootstrap_keeps_class_sizes():
    sizes = []
    is_positive = torch.arange(30) < 10

    def record(scores, labels):
        sizes.append((len(scores), int(labels.sum())))
        return scores.mean()

    bootstrap_interval(record, torch.randn(30), is_positive, draws=5)
    assert sizes == [(30, 10)] * 5


def test_intervals_of_several_metrics_equal_those_of_each():
    generator = torch.Generator().manual_seed(2)
    is_positive = torch.rand(400, generator=generator) < 0.3
    scores = ((torch.randn(400, generator=generator) + is_positive) * 8).round() / 8  # ties abound
    both = bootstrap_intervals(
        {
            "eer": lambda curve: eer_of_curve(curve)[0],
            "min_dcf": min_dcf_of_curve,
            "min_tdcf": partial(min_tdcf_of_curve, asv=ASV, revision=2021),
        },
        scores,
        is_positive,
        draws=50,
        seed=3,
    )
    alone = {
        "eer": lambda *trials: equal_error_rate(*trials)[0],
        "min_dcf": min_dcf,
        "min_tdcf": partial(min_tdcf, asv=ASV, revision=2021),
    }
    for name, metric in alone.items():
        assert both[name] == bootstrap_interval(metric, scores, is_positive, draws=50, seed=3)
        assert both[name][0] < both[name][1]


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([1.0, 2.0, 3.0], [True] * 3, "none of the 3 trials is spoofed"),
        ([1.0, 2.0, 3.0], [False] * 3, "none of the 3 trials is bona fide"),
        ([], [], "none of the 0 trials"),
        ([1.0, math.nan], [True, False], "score 1 is nan"),
        ([math.inf, 1.0], [True, False], "score 0 is inf"),
        ([1.0, 2.0], [True], "equally long"),
    ],
)
def test_unusable_scores_are_refused(scores, labels, message):
    for metric in (equal_error_rate, min_dcf, act_dcf, cllr):
        with pytest.raises(ValueError, match=message):
            metric(scores, labels)


def test_unusable_tandem_inputs_are_refused():
    with pytest.raises(ValueError, match="only 2 distinct scores"):
        min_tdcf([0.0, 1.0, 0.0, 1.0], [True, True, False, False], asv=ASV)
    with pytest.raises(ValueError, match="revision is 2020, expected 2019"):
        min_tdcf([0.0, 1.0, 2.0], [True, True, False], asv=ASV, revision=2020)
    with pytest.raises(ValueError, match=r"C1 is -.* < 0"):
        AsvErrorRates(1.0, 1.0, 1.0).costs(revision=2019)
    with pytest.raises(ValueError, match="0 spoof trials"):
        asv_error_rates([1.0], [0.0], [])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_equals_cpu():
    generator = torch.Generator().manual_seed(2)
    scores, is_positive = (
        torch.randn(1000, generator=generator).round(decimals=1),
        torch.arange(1000) % 4 == 0,
    )
    for metric in (equal_error_rate, lambda *given: (min_dcf(*given), cllr(*given))):
        expected = [float(value) for value in metric(scores, is_positive)]
        assert [float(value) for value in metric(scores.cuda(), is_positive.cuda())] == pytest.approx(
            expected
        )
