import itertools

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_rel

from lightning_modules.metrics.functional.paired import compare_paired, sign_flip_test


def by_enumeration(differences):
    sums = [sum(s * d for s, d in zip(signs, differences, strict=True))
            for signs in itertools.product((-1, 1), repeat=len(differences))]  # fmt: skip
    return np.mean([abs(each) >= abs(sum(differences)) for each in sums])


@pytest.mark.parametrize(
    "differences", [[3, 1, -2, 5, 1, 0, 2, 2, -1], [0, 0], [1], [-4, -4, -6, -1], [1, -1]]
)
def test_counts_all_flips_of_signs(differences):
    assert sign_flip_test(differences) == pytest.approx(by_enumeration(differences), abs=1e-12)


def test_equals_mcnemars_exact_test_with_one_run_each():
    rng = np.random.default_rng(0)
    for share in (0.5, 0.52, 0.7):
        a, b = rng.random((2, 1, 900)) < np.array([share, 0.5]).reshape(2, 1, 1)
        discordant = int((a & ~b).sum()), int((~a & b).sum())
        found = compare_paired(a, b)
        assert found.p_clips == pytest.approx(binomtest(discordant[0], sum(discordant)).pvalue, abs=1e-12)
        assert np.isnan([found.se_seeds, found.p]).all()


def test_is_fast_and_near_the_normal_law_for_many_clips():
    rng = np.random.default_rng(1)
    skill = rng.random(15_446)
    a, b = rng.random((5, 15_446)) < skill, rng.random((4, 15_446)) < skill - 0.005
    found = compare_paired(a, b)
    assert found.p_clips == pytest.approx(ttest_rel(a.mean(0), b.mean(0)).pvalue, rel=0.05)
    assert compare_paired(b, a).p_clips == pytest.approx(found.p_clips, abs=1e-12)
    assert compare_paired(b, a).difference == -found.difference


def test_figures_derived_by_hand():
    a = [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]]  # accuracies 3/4, 2/4, 4/4
    b = [[1, 0, 0, 0], [1, 0, 1, 0]]  # 1/4, 2/4
    found = compare_paired(a, b)
    assert found.accuracy == (0.75, 0.375)
    assert (found.num_runs, found.num_clips, found.difference) == ((3, 2), 4, 0.375)
    # by clip: 1 - 1, 1 - 0, 2/3 - 1/2, 1/3 - 0
    variance_clips = np.var([0, 1, 1 / 6, 1 / 3], ddof=1) / 4
    assert found.se_clips == pytest.approx(variance_clips**0.5)
    variance_seeds = (1 / 16) / 3 + (1 / 32) / 2
    assert found.se_seeds == pytest.approx(variance_seeds**0.5)
    assert found.p_clips == pytest.approx(by_enumeration([0, 6, 1, 2]))


def test_p_values_hold_where_nothing_differs():
    """Of methods that are equal, 5 % may seem different at p = 0.05, if that allows for seeds and clips."""
    rng = np.random.default_rng(2)
    by_clips, by_both = [], []
    for _ in range(400):
        skill = rng.normal(size=300)
        a, b = (rng.normal(size=(4, 300)) + 0.3 * rng.normal(size=(4, 1)) < skill for _ in range(2))
        found = compare_paired(a, b)
        by_clips.append(found.p_clips <= 0.05)
        by_both.append(found.p <= 0.05)
    assert np.mean(by_both) <= 0.08
    assert np.mean(by_clips) > 0.3  # which networks the seeds made is no matter of clips


def test_equal_runs_do_not_differ():
    runs = np.ones((3, 10), dtype=bool)
    found = compare_paired(runs, runs)
    assert (found.p_clips, found.p, found.se_clips) == (1.0, 1.0, 0.0)  # no draw, so exact


def test_other_clips_are_refused():
    with pytest.raises(ValueError, match=r"shapes \(1, 3\) and \(1, 4\): expected \(run, clip\) of the same"):
        compare_paired(np.ones((1, 3)), np.ones((1, 4)))
