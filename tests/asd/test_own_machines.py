"""Machines of a user's own list are evaluated as the challenge's: by machine, section and domain."""

from dataclasses import replace
from typing import cast

import pytest
import torch

from datamodules import ClipList
from lightning_modules.asd.machine_report import machine_report
from lightning_modules.metrics.functional import auc


def report_of(tmp_path, rows, head):
    (tmp_path / "list.csv").write_text("\n".join([head, *rows]) + "\n")
    data = ClipList(root=str(tmp_path), list="list.csv", class_names={"ok": "normal", "worn": "anomaly"})
    clips = data.split("test")
    scores = torch.linspace(0, 1, len(clips)).roll(3).double()
    is_worn = [data.heads["class"][cast(int, clip.target)] == "worn" for clip in clips]
    clips = [replace(clip, target=int(worn)) for clip, worn in zip(clips, is_worn, strict=True)]
    thresholds = {clip.attributes["instance"]: 0.5 for clip in clips}
    return clips, scores, machine_report(clips, scores, year=data.year, thresholds=thresholds)


def area(clips, scores, **wanted):
    rows = [
        n
        for n, clip in enumerate(clips)
        if all(clip.attributes[name] == value for name, value in wanted.items())
    ]
    return float(auc(scores[rows], [clips[row].target == 1 for row in rows]))


def test_by_machine(tmp_path):
    rows = [
        f"{m}{s}{n}.wav,{s},{m},test" for m in ("lathe", "pump") for s in ("ok", "worn") for n in range(4)
    ]
    clips, scores, report = report_of(tmp_path, rows, "path,label,machine,split")
    assert [(row["machine"], row["section"], row["domain"]) for row in report.table] == [
        ("lathe", "", ""),
        ("pump", "", ""),
    ]
    areas = [area(clips, scores, machine=name) for name in ("lathe", "pump")]
    assert [row["auc"] for row in report.table] == areas
    assert report.metrics["auc"] == pytest.approx(sum(areas) / 2)
    assert "official_score" not in report.metrics
    assert report.decisions == [int(score > 0.5) for score in scores.tolist()]


def test_by_domain_with_the_official_score(tmp_path):
    rows = [
        f"{d}{s}{n}.wav,{s},lathe,day,{d},test"
        for d in ("source", "target")
        for s in ("ok", "worn")
        for n in range(4)
    ]
    clips, scores, report = report_of(tmp_path, rows, "path,label,machine,section,domain,split")
    assert {clip.attributes["instance"] for clip in clips} == {"lathe/day"}
    assert [(row["section"], row["domain"]) for row in report.table] == [("day", "source"), ("day", "target")]
    assert report.metrics["official_score"] > 0
    assert report.table[0]["auc_all"] == area(clips, scores, machine="lathe")
