"""Figures of scores: what they show, and that they leave pyplot's global state alone."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.patches import Rectangle

from lightning_modules.figures.confusion import confusion_figure
from lightning_modules.figures.detection import det_figure, roc_figure, score_histogram
from lightning_modules.metrics.functional import partial_auc


def scored(shift: float) -> tuple[torch.Tensor, torch.Tensor]:
    is_positive = torch.arange(400) < 100
    return torch.randn(400, generator=torch.Generator().manual_seed(0)) + shift * is_positive, is_positive


def test_det_curve_of_two_systems(tmp_path):
    figure = det_figure({"weak": scored(1.0), "strong": scored(3.0)})
    axes = figure.axes[0]
    _, labels = axes.get_legend_handles_labels()
    assert [label.split(",")[0] for label in labels] == ["weak", "strong"]
    assert "%" in axes.get_xlabel()
    weak, strong = (np.asarray(axes.lines[row].get_xydata()) for row in (0, 2))
    assert np.median(strong.sum(1)) < np.median(weak.sum(1)), "fewer errors lie nearer the corner"
    assert np.isfinite(weak).all()
    figure.savefig(tmp_path / "det.png")
    assert not plt.get_fignums()


def test_roc_shades_what_partial_auc_measures(tmp_path):
    systems = {"weak": scored(1.0), "strong": scored(3.0)}
    figure = roc_figure(systems, max_fpr=0.25)
    axes = figure.axes[0]
    _, labels = axes.get_legend_handles_labels()
    assert labels[0].startswith("weak, AUC ")
    for shade, trials in zip(axes.collections, systems.values(), strict=True):
        x, y = np.asarray(shade.get_paths()[0].vertices).T
        area = abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2  # shoelace formula
        assert area == pytest.approx(float(partial_auc(*trials, max_fpr=0.25, standardized=False)))
    figure.savefig(tmp_path / "roc.png")
    assert not plt.get_fignums()


def test_a_step_at_the_rate_where_the_part_ends_is_not_shaded():
    is_positive = torch.arange(20) < 10
    scores = torch.tensor([9.0, 8, 7, 6, 5, 4, 3, 2, 1, 0, 6.5, *[-1.0] * 9], dtype=torch.float64)
    axes = roc_figure({"steps": (scores, is_positive)}, max_fpr=0.1).axes[0]
    # three hits before the first false alarm of ten, which is where the rate is 0.1, all others after it
    x, y = np.asarray(axes.collections[0].get_paths()[0].vertices).T
    area = abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2  # shoelace formula
    assert area == pytest.approx(0.3 * 0.1)
    assert area == pytest.approx(float(partial_auc(scores, is_positive, max_fpr=0.1, standardized=False)))


def test_histogram_counts_every_trial(tmp_path):
    figure = score_histogram(*scored(2.0), bins=20)
    axes = figure.axes[0]
    bars = [bar for bar in axes.patches if isinstance(bar, Rectangle)]
    assert len(bars) == 40
    area = sum(bar.get_width() * bar.get_height() for bar in bars)
    assert area == pytest.approx(2), "one density a class"
    _, labels = axes.get_legend_handles_labels()
    assert "bona fide (100 trials)" in labels
    figure.savefig(tmp_path / "histogram.png")
    assert not plt.get_fignums()


def test_histogram_names_classes_and_threshold():
    axes = score_histogram(*scored(2.0), classes=("anomalous", "normal"), threshold=1.25).axes[0]
    _, labels = axes.get_legend_handles_labels()
    assert set(labels) == {"anomalous (100 trials)", "normal (300 trials)", "threshold 1.25"}
    assert axes.get_xlabel() == "score (higher = anomalous)"
    axes = score_histogram([1.0, 2.0], [False, False], threshold=1.5).axes[0]
    _, labels = axes.get_legend_handles_labels()
    assert set(labels) == {"spoofed (2 trials)", "threshold 1.5"}


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="none of the 3 trials is spoofed"):
        score_histogram([1.0, 2.0, 3.0], [True] * 3)


@pytest.mark.parametrize("name", ["_silence_", "$_$"])
def test_names_of_classes_are_shown_as_they_are(name, tmp_path):
    scores, is_positive = torch.arange(40) % 7, torch.arange(40) % 2 == 0
    for draw in (det_figure, roc_figure):
        figure = draw({name: (scores, is_positive)})
        figure.savefig(tmp_path / "a.png")
        legend = figure.axes[0].get_legend()
        assert legend is not None
        assert name in legend.get_texts()[0].get_text().replace("\\", "")
    target = torch.tensor([0, 1])
    confusion_figure(target, target, [name, "b"]).savefig(tmp_path / "b.png")
