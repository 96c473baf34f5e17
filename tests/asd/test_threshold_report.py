"""What results say of thresholds: one line, columns, a table."""

import pytest

from datamodules.clips import Clip
from lightning_modules.asd.threshold_report import tell_of, with_thresholds
from lightning_modules.asd.thresholds import Threshold, passed_interval
from lightning_modules.run.rows import Report

FOUND = {
    "fan/id_00": Threshold(0.5, "gamma", 100, 91),
    "fan/id_02": Threshold(0.7, "conformal", 20, 18, "gamma takes 50 scores, here are 20: conformal decides"),
}


def test_rule_share_and_interval_of_all_instances_are_columns():
    clips = [
        Clip(str(row), "", target, attributes={"instance": instance})
        for row, (instance, target) in enumerate(
            [("fan/id_00", 0)] * 4 + [("fan/id_02", 0), ("fan/id_02", 1)]
        )
    ]
    decided = Report(keys="012345", scores=[0.0] * 6, metrics={}, decisions=[0, 0, 0, 1, 0, 1])
    report = with_thresholds(decided, clips, FOUND)
    low, high = passed_interval(109, 120)
    assert report.columns == {
        "threshold_rule": "gamma 1, conformal 1",
        "threshold_passed": 109 / 120,
        "threshold_passed_low": low,
        "threshold_passed_high": high,
        "normal_passed": 4 / 5,
        "normal_passed_low": passed_interval(4, 5)[0],
        "normal_passed_high": passed_interval(4, 5)[1],
    }
    fan, other = report.tables["thresholds"]
    assert (fan["instance"], fan["threshold"], fan["rule"], fan["passed"]) == (
        "fan/id_00",
        0.5,
        "gamma",
        0.91,
    )
    assert (fan["normals"], fan["normal_passed"], fan["remark"]) == (4, 0.75, "")
    assert (other["normals"], other["normal_passed"], other["remark"]) == (1, 1.0, FOUND["fan/id_02"].remark)


def test_without_thresholds_and_labels_nothing_is_claimed():
    clip = Clip("0", "", -1, attributes={"instance": "fan/id_00"})
    report = Report(keys="0", scores=[0.0], metrics={}, decisions=[0])
    assert with_thresholds(report, [clip], {}) is report
    assert "normal_passed" not in with_thresholds(report, [clip], FOUND).columns


def test_remarks_of_many_instances_are_one_line():
    with pytest.warns(UserWarning, match="threshold of") as lines:
        tell_of(FOUND | {"pump/id_00": FOUND["fan/id_02"]})
    (line,) = lines
    assert str(line.message) == (
        "threshold of fan/id_02: gamma takes 50 scores, here are 20: conformal decides; 1 more have a remark, see"
        " tables/*_thresholds.csv"
    )
