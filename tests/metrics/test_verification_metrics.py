"""Metrics of spoofing-robust verification against dense NumPy definitions, values by hand, and their edges."""

import time
from functools import partial
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_modules.metrics.functional import (
    ASVSPOOF5_COSTS,
    EerRule,
    TrialKind,
    VerificationCosts,
    act_a_dcf,
    det_curve,
    equal_error_rate,
    fuse_verification,
    min_a_dcf,
    tandem_eer,
    tandem_eer_of_curves,
    tandem_eer_path,
    verification_curve,
)

SPOOF, TARGET, NONTARGET = TrialKind
ORDER_OF_TIES = {TARGET: 0, NONTARGET: 1, SPOOF: 2}


@st.composite
def trials(draw):
    """Scores of two systems on a coarse grid, so that ties abound, and kinds, each there."""
    grid = st.integers(-8, 8).map(lambda step: step / 4)
    size = draw(st.integers(3, 40))
    asv, cm = (draw(st.lists(grid, min_size=size, max_size=size)) for _ in range(2))
    kinds = draw(st.lists(st.sampled_from(list(TrialKind)), min_size=size, max_size=size))
    kinds[:3] = TrialKind
    return np.array(asv), np.array(cm), np.array(kinds)


def naive_points(scores, kinds):
    """Rejects trials one by one from the lowest and counts: misses, nontargets and spoofs accepted."""
    order = sorted(range(len(scores)), key=lambda row: (scores[row], ORDER_OF_TIES[kinds[row]]))
    points = []
    for rejected in range(len(scores) + 1):
        below = kinds[order[:rejected]]
        shares = [(below == kind).sum() / (kinds == kind).sum() for kind in (TARGET, NONTARGET, SPOOF)]
        points.append((shares[0], 1 - shares[1], 1 - shares[2]))
    return np.array(points)


def dense_tandem(asv_scores, cm_scores, kinds, p_spoof):
    """Every pair of thresholds: the path of equal rates, and where nontargets and spoofs pass equally often."""
    asv = naive_points(asv_scores, kinds)
    cm = np.array(det_curve(cm_scores, kinds != SPOOF)[:2]).T
    asv_miss, nontarget, spoof = asv[asv[:, 0] < (1 - p_spoof) * asv[:, 1] + p_spoof * asv[:, 2]].T[..., None]
    cm_miss, accepted = cm.T
    miss = cm_miss + (1 - cm_miss) * asv_miss
    false_alarm = (1 - p_spoof) * (1 - cm_miss) * nontarget + p_spoof * accepted * spoof
    at = np.abs(miss - false_alarm).argmin(axis=1)
    rows = np.arange(len(at))
    with np.errstate(all="ignore"):
        gap = np.abs(nontarget[:, 0] / spoof[:, 0] - accepted[at] / (1 - cm_miss[at]))
    gap[np.isnan(gap)] = np.inf
    best = gap.argmin()
    concurrent = np.nan if np.isinf(gap[best]) else spoof[best, 0] * accepted[at[best]]
    return (miss[rows, at] + false_alarm[rows, at]) / 2, concurrent


@given(trials())
def test_a_dcf_equals_its_definition_over_all_thresholds(scored):
    scores, _, kinds = scored
    points = naive_points(scores, kinds)
    for costs, weights, default in (
        (VerificationCosts(), (0.9, 0.5, 1.0), 0.9),
        (ASVSPOOF5_COSTS, (0.9405, 0.095, 0.5), 0.595),
    ):
        cost, threshold = min_a_dcf(scores, kinds, costs=costs)
        assert float(cost) == pytest.approx((points @ weights).min() / default, abs=1e-12)
        assert float(threshold) in (*scores, scores.min() - 0.001)
        accepted = scores >= 0.5
        rates = (
            1 - accepted[kinds == TARGET].mean(),
            accepted[kinds == NONTARGET].mean(),
            accepted[kinds == SPOOF].mean(),
        )
        assert float(act_a_dcf(scores, kinds, threshold=0.5, costs=costs)) == pytest.approx(
            np.dot(rates, weights) / default, abs=1e-12
        )


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({TARGET: 3, NONTARGET: 2, SPOOF: 1}, 0),
        ({SPOOF: 1, TARGET: 2, NONTARGET: 3}, 0.5 / 0.9),  # the nontarget passes with the target
        ({NONTARGET: 1, TARGET: 2, SPOOF: 3}, 1),  # the spoof would cost 1 / 0.9: rejecting all is best
        ({TARGET: 0, NONTARGET: 0, SPOOF: 0}, 1),  # of ties the target is rejected first
    ],
)
def test_a_dcf_by_hand(scores, expected):
    assert float(min_a_dcf([*scores.values()], [*scores])[0]) == pytest.approx(expected, abs=1e-15)


def test_a_dcf_takes_accepting_all_into_account():
    cheap = VerificationCosts(spoof_false_alarm=1, false_alarm=1)
    cost, threshold = min_a_dcf([0.0, 1.0, 2.0], [TARGET, NONTARGET, SPOOF], costs=cheap)
    assert (float(cost), float(threshold)) == (1, -0.001)


@given(trials(), st.sampled_from([0.0, 0.2, 0.5, 1.0]))
def test_tandem_eer_equals_its_dense_definition(scored, p_spoof):
    asv, cm, kinds = scored
    path, concurrent = dense_tandem(asv, cm, kinds, p_spoof)
    assert tandem_eer_path(asv, cm, kinds, p_spoof=p_spoof).eer.numpy() == pytest.approx(path, abs=1e-15)
    assert float(tandem_eer(asv, cm, kinds, p_spoof=p_spoof).eer) == pytest.approx(
        concurrent, abs=1e-15, nan_ok=True
    )


def test_tandem_eer_is_where_all_three_rates_meet():
    rng = np.random.default_rng(0)
    kinds = rng.choice(3, 60_000)
    asv = rng.normal(size=len(kinds)) + 2 * (kinds == TARGET) + (kinds == SPOOF)
    cm = rng.normal(size=len(kinds)) + 2 * (kinds != SPOOF)
    eer, asv_threshold, cm_threshold = tandem_eer(asv, cm, kinds)
    passed = {kind: (asv >= asv_threshold.item())[kinds == kind].mean() for kind in TrialKind}
    genuine = (cm >= cm_threshold.item())[kinds != SPOOF].mean()
    miss = 1 - genuine * passed[TARGET]
    assert (miss, genuine * passed[NONTARGET]) == pytest.approx((float(eer), float(eer)), abs=1e-3)
    for p_spoof in (0.1, 0.9):  # in the limit of many trials, every path leads through the same point
        assert float(tandem_eer(asv, cm, kinds, p_spoof=p_spoof).eer) == pytest.approx(float(eer), abs=2e-3)


def test_tandem_eer_is_undefined_where_nothing_is_accepted():
    found = tandem_eer([0.0, 0.0, 2.0], [2.0, 2.0, 1.0], [SPOOF, TARGET, NONTARGET], p_spoof=1)
    assert torch.stack(found).isnan().all()


def test_tandem_eer_asks_for_no_pairs():
    """Both systems are taken as independent: their curves may stand on other trials."""
    rng = np.random.default_rng(3)
    kinds = rng.choice(3, 500)
    asv, cm = rng.normal(size=(2, 500)) + np.stack([kinds == TARGET, kinds != SPOOF])
    order = rng.permutation(500)
    cm_curve = det_curve(cm[order], kinds[order] != SPOOF)
    found = tandem_eer_of_curves(verification_curve(asv, kinds), cm_curve)
    assert found == tandem_eer(asv, cm, kinds)


def test_a_million_trials_take_seconds():
    rng = np.random.default_rng(1)
    kinds = rng.choice(3, 1_000_000, p=[0.7, 0.1, 0.2])
    asv = rng.normal(size=len(kinds)) + 2 * (kinds == TARGET)
    cm = rng.normal(size=len(kinds)) + 2 * (kinds != SPOOF)
    start = time.process_time()
    tandem_eer(asv, cm, kinds)
    min_a_dcf(asv, kinds)
    assert time.process_time() - start < 8  # about 1.2 s of one core


@pytest.mark.parametrize("p_spoof", [0, 0.01, 0.5, 1])
def test_fusion_equals_its_formula(p_spoof):
    rng = np.random.default_rng(2)
    asv, cm = rng.normal(scale=5, size=(2, 100))
    expected = -np.log((1 - p_spoof) * np.exp(-asv) + p_spoof * np.exp(-cm))
    fused = fuse_verification(asv, cm, p_spoof=p_spoof)
    assert fused.dtype == torch.float64
    assert fused.numpy() == pytest.approx(expected, abs=1e-12)


def test_fusion_of_large_ratios_stays_finite():
    asv, cm = [5000.0, -5000.0, 5000.0], [-5000.0, 5000.0, 5000.0]
    fused = fuse_verification(asv, cm, p_spoof=0.25)
    low = -5000 - np.log([0.25, 0.75])
    assert fused.tolist() == pytest.approx([*low, 5000.0], abs=1e-9)


KINDS = [TARGET, NONTARGET, SPOOF]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: min_a_dcf([1.0, 2.0], KINDS), r"scores and kinds must be .* not \(2,\) and \(3,\)"),
        (lambda: min_a_dcf([1.0, 2.0, 3.0], [1, 2, 3]), "kinds must be 0"),
        (lambda: min_a_dcf([1.0, 2.0, 3.0], [1, 2, 2]), "none of the 3 trials is spoof"),
        (lambda: min_a_dcf([1.0, np.nan, 3.0], KINDS), "score 1 is nan"),
        (lambda: tandem_eer([1.0, 2.0, 3.0], [1.0, 2.0], KINDS), "not \\(2,\\) and \\(3,\\)"),
        (lambda: tandem_eer([1.0, 2.0, 3.0], [1.0, 2.0, np.inf], KINDS), "score 2 is inf"),
        (lambda: tandem_eer([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], KINDS, p_spoof=1.5), "p_spoof=1.5"),
        (lambda: fuse_verification([1.0], [1.0, 2.0], p_spoof=0.5), "fusion needs both"),
        (lambda: fuse_verification([1.0], [1.0], p_spoof=-1), "p_spoof=-1"),
        (lambda: VerificationCosts(p_target=0.5), "the priors must sum to 1"),
        (lambda: VerificationCosts(miss=-1), "must not be negative"),
        (
            partial(equal_error_rate, [0.0, 1.0], [False, True], rule=cast("EerRule", "arena")),
            "rule of the EER is 'arena'",
        ),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
