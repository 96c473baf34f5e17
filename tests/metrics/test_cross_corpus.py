"""Error rates over several corpora, in NumPy, beside the functional ones."""

import math

import numpy as np
import pytest

from datamodules.clips import Clip
from lightning_modules.metrics.cross_corpus import accepted, breakdown, equal_error_point, pooled
from lightning_modules.metrics.functional import equal_error_rate, pooled_eer, spoof_rejection_rate
from lightning_modules.metrics.trial_table import Trials, trial_columns


def test_the_point_is_the_functional_one_to_the_bit():
    random = np.random.default_rng(0)
    for _ in range(300):
        scores = random.normal(size=random.integers(2, 40)).round(random.integers(0, 4))  # many ties
        is_bonafide = random.random(len(scores)) < 0.4
        is_bonafide[:2] = True, False
        eer, threshold = equal_error_rate(scores, is_bonafide)
        assert equal_error_point(Trials(scores, is_bonafide)) == (float(eer), float(threshold))


def test_sums_and_shares_are_the_functional_ones():
    random = np.random.default_rng(1)
    several = [Trials(random.normal(size=30).round(1), np.arange(30) % 3 == 0) for _ in range(3)]
    sets = dict(zip("abc", several, strict=True))
    assert equal_error_point(pooled(several)) == tuple(map(float, pooled_eer(sets)))
    threshold = several[0].scores[4]
    rejected = float(spoof_rejection_rate(several[1].scores, threshold=threshold))
    assert accepted(several[1], threshold) == pytest.approx(1 - rejected, abs=1e-15)


def test_one_class_has_no_equal_error_rate():
    with pytest.raises(ValueError, match="both classes"):
        equal_error_point(Trials(np.ones(3), np.ones(3, bool)))


def test_pooled_trials_and_those_that_reach_a_threshold():
    one = Trials(np.array([0.0, 1.0]), np.array([False, True]))
    other = Trials(np.array([2.0, 3.0]), np.array([False, True]))
    together = pooled([one, other])
    assert together.scores.tolist() == [0, 1, 2, 3]
    assert equal_error_point(together).eer == 0.5
    assert accepted(together, 2.0) == 0.5


def test_a_breakdown_has_groups_of_one_class():
    trials = Trials(np.array([0.0, 1.0, 2.0, 3.0, 4.0]), np.array([False, True, False, True, True]))
    first, second = breakdown(trials, ["b", "b", "b", "a", "a"], 2.0)
    assert (first["condition"], first["bona fide"], first["spoof"]) == ("a", 2, 0)
    assert math.isnan(float(first["EER %"]))
    assert (first["bona fide rejected %"], second["bona fide rejected %"], second["spoof accepted %"]) == (
        0,
        100,
        50,
    )
    assert second["EER %"] == 100 * float(equal_error_rate([0.0, 1.0, 2.0], [False, True, False])[0])


def test_columns_begin_with_what_tables_group_by_and_scores_are_exact_in_float32():
    clips = [
        Clip("a", "a.wav", 1, {"gender": "f", "speaker": "s", "corpus": "c"}),
        Clip("b", "b.wav", 0, {"attack": "A01", "corpus": "c"}),
    ]
    scores = np.random.default_rng(0).normal(size=2).astype(np.float32)
    columns = trial_columns(clips, scores.tolist())
    assert list(columns) == ["key", "label", "score", "corpus", "attack", "speaker", "gender"]
    assert columns["label"] == ["bonafide", "spoof"]
    assert columns["attack"] == ["", "A01"]
    assert np.array(columns["score"], np.float32).tolist() == scores.tolist()
