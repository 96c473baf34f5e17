"""Figures of a detector's scores, as matplotlib Figures for a file or a tracker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from numpy.typing import ArrayLike
from scipy.special import ndtri
from torch import Tensor

from lightning_modules.metrics.functional import det_curve, equal_error_rate

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
    from matplotlib.figure import Figure

    figure = Figure(SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    ends = ndtri([PERCENT_TICKS[0] / 200, 0.95])
    for name, (scores, is_positive) in systems.items():
        miss, false_alarm, _ = det_curve(scores, is_positive)
        eer = float(equal_error_rate(scores, is_positive)[0])
        inside = [ndtri(rate.cpu().numpy()).clip(*ends) for rate in (false_alarm, miss)]
        (line,) = axes.plot(*inside, label=f"{name}, EER {eer:.2%}")
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


def score_histogram(scores: Tensor | ArrayLike, is_positive: Tensor | ArrayLike, *, bins: int = 80) -> Figure:
    """Distribution of the scores of each class, with the EER threshold.

    Args:
        scores: (trials,), higher = bona fide.
        is_positive: bool (trials,), True where bona fide.
        bins: Bars over the range of all scores.

    Raises:
        ValueError: As in `metrics.functional.det_curve`.
    """
    from matplotlib.figure import Figure

    eer, threshold = equal_error_rate(scores, is_positive)
    scores = torch.as_tensor(scores, dtype=torch.float64).cpu()
    is_positive = torch.as_tensor(is_positive).bool().cpu()
    figure = Figure((6.5, 4.0), layout="constrained")
    axes = figure.add_subplot()
    shown = (float(scores.min()), float(scores.max()))
    for name, members, color in (("bona fide", is_positive, "C0"), ("spoofed", ~is_positive, "C3")):
        label = f"{name} ({int(members.sum())} trials)"
        axes.hist(
            scores[members].numpy(),
            bins=bins,
            range=shown,
            density=True,
            alpha=0.55,
            color=color,
            label=label,
        )
    axes.axvline(float(threshold), color="0.2", linestyle="--", label=f"EER {float(eer):.2%}")
    axes.set(xlabel="score (higher = bona fide)", ylabel="density", title="Scores by class")
    axes.legend()
    return figure
