"""Figures of tagged clips, against values by hand; the list of mistakes; the ROC of every class."""

import math
from typing import Any

import pytest
import torch

from datamodules.clips import Clip
from datamodules.clips.coverage import ABSENT, Coverage
from lightning_modules.production.tag_report import roc_of_classes, tag_metrics, tag_report

CLASSES = {"class": ["kick", "snare", "tom"]}
TAGS = {name: [f"no {name}", name] for name in ("dark", "drum", "long")}


def of_tags(scores):
    """(clip, tag) -> both columns of every head, side by side."""
    scores = torch.tensor(scores)
    return torch.stack([1 - scores, scores], dim=2).flatten(1)


def test_figures_of_classes():
    scores = torch.tensor([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.5, 0.1, 0.4]])
    metrics = tag_metrics(scores, torch.tensor([0, 0, 1, 2]), CLASSES)
    assert metrics["accuracy"] == 3 / 4
    assert metrics["balanced_accuracy"] == pytest.approx((1 + 1 + 0) / 3)
    assert metrics["majority"] == 2 / 4
    assert metrics["auc"] == pytest.approx(1.0)
    assert metrics["map"] == pytest.approx(1.0)
    assert metrics["log_loss"] == pytest.approx(-sum(map(math.log, (0.7, 0.6, 0.8, 0.4))) / 4, rel=1e-5)


def test_classes_that_do_not_occur_are_left_out_of_means():
    scores = torch.tensor([[0.2, 0.7, 0.1], [0.6, 0.3, 0.1]])
    metrics = tag_metrics(scores, torch.tensor([0, 1]), CLASSES)
    assert metrics["balanced_accuracy"] == metrics["accuracy"] == metrics["auc"] == 0
    assert metrics["map"] == pytest.approx(0.5)
    alone = tag_metrics(scores, torch.tensor([1, 1]), CLASSES)
    assert math.isnan(alone["auc"])
    assert alone["balanced_accuracy"] == alone["accuracy"] == 0.5


def test_figures_of_tags():
    scores = of_tags([[0.9, 0.8, 0.3], [0.2, 0.6, 0.4], [0.7, 0.1, 0.2], [0.1, 0.9, 0.1]])
    target = torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 1, 0]])
    metrics = tag_metrics(scores, target, TAGS)
    assert metrics["accuracy"] == 2 / 4  # the last two miss or invent "dark"
    assert metrics["balanced_accuracy"] == pytest.approx(((1 / 2 + 1 / 2) / 2 + 1) / 2)  # "long" never occurs
    assert metrics["auc"] == pytest.approx((2 / 4 + 1) / 2)
    assert metrics["majority"] == 2 / 4
    right = [0.9, 0.8, 0.7, 0.8, 0.6, 0.6, 0.3, 0.9, 0.8, 0.1, 0.9, 0.9]
    assert metrics["log_loss"] == pytest.approx(-sum(map(math.log, right)) / 12, rel=1e-5)


def test_log_loss_of_a_sure_mistake_has_all_digits():
    logit = torch.tensor([[18.0, -18.0]])
    probabilities = torch.stack([torch.zeros_like(logit), logit], dim=2).softmax(dim=2).flatten(1)
    heads = {name: [f"no {name}", name] for name in ("dark", "long")}
    metrics = tag_metrics(probabilities, torch.tensor([[0, 1]]), heads)
    assert metrics["log_loss"] == pytest.approx(18 + math.log1p(math.exp(-18)), rel=1e-6)


def test_log_loss_of_a_certain_mistake_is_finite():
    metrics = tag_metrics(torch.tensor([[1.0, 0, 0], [0, 1, 0]]), torch.tensor([1, 1]), CLASSES)
    assert 10 < metrics["log_loss"] < 100


def clips(targets, sources="abcdefgh"):
    return [
        Clip(f"clip{row}", "", target, {"source": source})
        for row, (target, source) in enumerate(zip(targets, sources, strict=False))
    ]


def test_mistakes_come_surest_first():
    scores = torch.tensor([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.9, 0.0], [0.5, 0.1, 0.4]])
    report = tag_report(clips([0, 1, 0, 2]), scores, CLASSES)
    assert [row["key"] for row in report.tables["mistakes"]] == ["clip2", "clip1", "clip3"]
    surest = report.tables["mistakes"][0]
    assert (surest["target"], surest["predicted"]) == ("kick", "snare")
    assert surest["probability"] == pytest.approx(0.9)
    assert report.table == []  # every source is one clip
    assert report.keys == ["clip0", "clip1", "clip2", "clip3"]


def test_no_mistakes_no_table():
    report = tag_report(clips([0, 1]), torch.eye(3)[:2], CLASSES)
    assert "mistakes" not in report.tables
    assert report.warnings == []


def test_mistakes_of_tags_say_all_tags():
    scores = of_tags([[0.9, 0.8, 0.3], [0.9, 0.6, 0.4]])
    report = tag_report(clips([(1, 1, 0), (0, 0, 1)]), scores, TAGS)
    (mistake,) = report.tables["mistakes"]
    assert (mistake["key"], mistake["target"], mistake["predicted"]) == ("clip1", "long", "dark;drum")
    assert mistake["probability"] == pytest.approx(0.6)  # of the least certain label
    assert list(report.figures) == ["roc"]


def test_accuracy_by_source():
    report = tag_report(clips([0, 1, 1], "aab"), torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 0]]), CLASSES)
    assert report.table == [
        {"source": "a", "clips": 2, "accuracy": 0.5},
        {"source": "b", "clips": 1, "accuracy": 1.0},
    ]


def test_an_incomplete_list_is_a_warning():
    part = Coverage(listed=4, found=3, digest="", left_out={"gone": ABSENT})
    (warning,) = tag_report(clips([0]), torch.eye(3)[:1], CLASSES, coverage=part).warnings
    assert warning.startswith("3 of 4 listed clips")


def test_the_roc_names_the_worst_classes():
    generator = torch.Generator().manual_seed(0)
    num_classes = 14
    truth = torch.nn.functional.one_hot(torch.arange(60) % 13, num_classes).bool()  # the last never occurs
    scores = torch.rand(truth.shape, generator=generator) + truth * torch.linspace(0, 2, num_classes)
    figure = roc_of_classes(scores / 3, truth, [f"c{k}" for k in range(num_classes)])
    axes: Any = figure.axes[0]
    assert len(axes.get_lines()) == 13 + 1
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert len(labels) == 10
    areas = [float(label.rsplit(" ", 1)[1]) for label in labels]
    assert areas == sorted(areas)
    assert areas[0] < 0.8
    for line in axes.get_lines()[:-1]:
        assert (line.get_xdata()[0], line.get_ydata()[0]) == (0, 0)
        assert (line.get_xdata()[-1], line.get_ydata()[-1]) == (1, 1)


def test_a_roc_without_two_classes_is_empty():
    figure = roc_of_classes(torch.eye(3)[:1], torch.eye(3)[:1].bool(), ["a", "b", "c"])
    assert figure.axes[0].get_legend() is None
