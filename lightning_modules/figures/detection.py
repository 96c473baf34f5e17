"""Curves and histograms of a detector's scores, as matplotlib Figures for a file or a tracker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import ndtri
from torch import Tensor

from lightning_modules.figures import panels
from lightning_modules.figures.text import plain
from lightning_modules.metrics.functional import auc, det_curve, equal_error_rate, partial_auc, roc_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PERCENT_TICKS = (0.01, 0.1, 0.5, 1, 2, 5, 10, 20, 40, 60, 80, 90)
SIZE_INCHES = (5.5, 5.0)


def det_figure(systems: Mapping[str, tuple[Tensor | ArrayLike, Tensor | ArrayLike]]) -> Figure:
    """Detection error trade-off on normal-deviate axes, where Gaussian scores give a straight line.

    Args:
        systems: Name for the legend -> scores (trials,), higher = bona fide, and is_positive bool (trials,).

    Returns:
        One curve a system, a dot at its EER.

    Raises:
        ValueError: As in `metrics.functional.det_curve`.
    """
    figure, (axes,) = panels(1, *SIZE_INCHES)
    ends = ndtri([PERCENT_TICKS[0] / 200, 0.95])
    for name, (scores, is_positive) in systems.items():
        miss, false_alarm, _ = det_curve(scores, is_positive)
        eer = float(equal_error_rate(scores, is_positive)[0])
        inside = [ndtri(rate.cpu().numpy()).clip(*ends) for rate in (false_alarm, miss)]
        (line,) = axes.plot(*inside, label=f"{plain(name)}, EER {eer:.2%}")
        axes.plot(*[ndtri(eer).clip(*ends)] * 2, "o", color=line.get_color())
    axes.plot(ends, ends, color="0.7", linewidth=0.8, zorder=0)
    ticks = [f"{tick:g}" for tick in PERCENT_TICKS]
    positions = ndtri([tick / 100 for tick in PERCENT_TICKS])
    axes.set_xticks(positions, ticks, fontsize=8)
    axes.set_yticks(positions, ticks, fontsize=8)
    axes.set(
        xlim=ends,
        ylim=ends,
        xlabel="spoofed trials accepted (%)",
        ylabel="bona fide trials rejected (%)",
        title="Detection error trade-off",
        aspect="equal",
    )
    axes.grid(color="0.9")
    axes.legend()
    return figure


def roc_figure(
    systems: Mapping[str, tuple[Tensor | ArrayLike, Tensor | ArrayLike]], *, max_fpr: float = 0.1
) -> Figure:
    """Receiver operating characteristic, with the part that pAUC measures shaded.

    Args:
        systems: Name for the legend -> scores (clips,), higher = anomalous, and is_positive bool (clips,).
        max_fpr: False-positive rate where that part ends.

    Raises:
        ValueError: As in `metrics.functional.partial_auc`.
    """
    figure, (axes,) = panels(1, *SIZE_INCHES)
    for name, (scores, is_positive) in systems.items():
        whole, part = auc(scores, is_positive), partial_auc(scores, is_positive, max_fpr=max_fpr)
        false_alarm, hit = (rate.cpu().numpy() for rate in roc_curve(scores, is_positive))
        (line,) = axes.plot(
            false_alarm,
            hit,
            label=f"{plain(name)}, AUC {float(whole):.2%}, pAUC {float(part):.2%}",
            clip_on=False,
        )
        inside = false_alarm <= max_fpr
        until, heights = false_alarm[inside], hit[inside]
        if until[-1] < max_fpr:  # a corner at the rate itself is a step, of which no mean is taken
            until = np.append(until, max_fpr)
            heights = np.append(heights, np.interp(max_fpr, false_alarm, hit))
        axes.fill_between(until, heights, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, zorder=0)
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1),
        xlabel="normal clips called anomalous (%)",
        ylabel="anomalous clips found (%)",
        title=f"Receiver operating characteristic, shaded to {max_fpr:.0%}",
        aspect="equal",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda rate, _: f"{rate * 100:g}")
    axes.grid(color="0.9")
    axes.legend(loc="lower right", fontsize=8)
    return figure


def score_histogram(
    scores: Tensor | ArrayLike,
    is_positive: Tensor | ArrayLike,
    *,
    classes: tuple[str, str] = ("bona fide", "spoofed"),
    threshold: float | None = None,
    bins: int = 80,
) -> Figure:
    """Distribution of the scores of each class, with the threshold of decisions.

    Args:
        scores: (trials,), higher = positive.
        is_positive: bool (trials,).
        classes: Names of the positive and the negative class.
        threshold: Score at which decisions turn; None marks the equal error rate.
        bins: Bars over the range of all scores, at most; few trials have fewer.

    Raises:
        ValueError: As in `metrics.functional.det_curve`, where the threshold is None.
    """
    mark = f"threshold {threshold:.4g}" if threshold is not None else ""
    if threshold is None:
        eer, at = equal_error_rate(scores, is_positive)
        threshold, mark = float(at), f"EER {float(eer):.2%}"
    scores = torch.as_tensor(scores, dtype=torch.float64).cpu()
    is_positive = torch.as_tensor(is_positive).bool().cpu()
    figure, (axes,) = panels(1, 6.5, 4.0)
    shown = (float(scores.min()), float(scores.max()))
    bins = min(bins, max(10, len(scores) // 8))
    for name, members, color in zip(classes, (is_positive, ~is_positive), ("C0", "C1"), strict=True):
        if members.any():
            axes.hist(
                scores[members].numpy(),
                bins=bins,
                range=shown,
                density=True,
                alpha=0.55,
                color=color,
                label=f"{name} ({int(members.sum())} trials)",
            )
    axes.axvline(threshold, color="0.2", linestyle="--", label=mark)
    axes.set(xlabel=f"score (higher = {classes[0]})", ylabel="density", title="Scores by class")
    axes.legend()
    return figure
