"""The paired bootstrap of submissions to DCASE Task 2, beside the evaluation of the drawn clips written out."""

import numpy as np
import pytest

from lightning_modules.metrics.dcase_bootstrap import _drawn, compare_submissions, in_order_of
from lightning_modules.metrics.dcase_evaluation import evaluate_dcase
from lightning_modules.metrics.dcase_submission import Submission


def submission(seed, *, decimals=1):
    """Two machines, three sections between them, two domains, ties."""
    rng = np.random.default_rng(seed)
    run = Submission(2023)
    for part in (("fan", "section_00"), ("fan", "section_01"), ("valve", "section_00")):
        for number in range(24):
            is_anomaly = number % 3 == 0
            run.keys.append(f"{part[0]}/{part[1]}_{number:04}")
            run.machine.append(part[0])
            run.section.append(part[1])
            run.domain.append("target" if number % 4 == 0 else "source")
            run.is_anomaly.append(is_anomaly)
            run.scores.append(round(float(rng.normal() + is_anomaly), decimals))
    return run


def written_out(run, times, year):
    """The challenge's mean AUC where each clip stands as often as it was drawn."""
    repeated = {name: np.repeat(getattr(run, name), times) for name in ("machine", "section", "domain")}
    scores, is_anomaly = np.repeat(run.scores, times), np.repeat(run.is_anomaly, times)
    return evaluate_dcase(scores, is_anomaly, **repeated, year=year).summary["auc"]


@pytest.mark.parametrize("year", [2020, 2021, 2023])
def test_equals_the_evaluation_of_the_drawn_clips(year):
    a, b = [submission(0), submission(1)], [submission(2)]
    found = compare_submissions(a, b, year=year, draws=15)
    once = np.ones(len(a[0].scores), int)
    assert found.figure == pytest.approx(
        [np.mean([written_out(run, once, year) for run in runs]) for runs in (a, b)], abs=1e-14
    )
    drawn = _drawn(a[0], np.array(a[0].is_anomaly), 15, 0)
    figures = [
        [np.mean([written_out(run, times, year) for run in runs]) for runs in (a, b)] for times in drawn
    ]
    differences = np.subtract(*np.transpose(figures))
    assert found.interval == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=1e-14)


def test_clips_are_paired_by_name():
    first, other = submission(0), submission(1)
    mixed = Submission(
        2023,
        **{
            name: getattr(other, name)[::-1]
            for name in ("scores", "is_anomaly", "machine", "section", "domain", "keys")
        },
    )
    assert in_order_of(first, mixed) == other


def test_other_clips_are_refused():
    first, other = submission(0), submission(1)
    other.keys[3] = "fan/section_00_0099"
    with pytest.raises(ValueError, match="no score for fan/section_00_0003 and 0 others"):
        in_order_of(first, other)
    other = submission(1)
    other.is_anomaly[5] = not other.is_anomaly[5]
    with pytest.raises(ValueError, match="has another label or domain for fan/section_00_0005"):
        in_order_of(first, other)
