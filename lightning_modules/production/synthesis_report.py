"""Evaluation of generated sounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from lightning_modules.metrics.generation import likeness
from lightning_modules.run.rows import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COPY = 0.98  # likeness from which a sound counts as a copy
_COLUMNS, _ROWS = 4, 4  # of the figure


def synthesis_report(
    generated: Tensor, training: Tensor, metrics: Mapping[str, float], *, sample_rate: int
) -> Report:
    """Lists generated sounds and how like a training clip each one is.

    Args:
        generated: (sound, time).
        training: (clip, time).
        metrics: From `lightning_modules.metrics.generation.compare`.
        sample_rate: In Hz.
    """
    like = likeness(generated, training)
    rms = generated.square().mean(dim=1).sqrt()
    rows = list(zip(like.tolist(), rms.tolist(), strict=True))
    copies = int((like >= _COPY).sum())
    return Report(
        keys=[f"sound{number:04d}" for number in range(len(generated))],
        scores=np.array(rows, dtype=[("likeness", float), ("rms", float)]),
        metrics={**metrics, "likeness_max": float(like.max()), "copies": float(copies)},
        figures={"sounds": _figure(generated, sample_rate)},
        warnings=[f"{copies} of {len(generated)} sounds are copies of training clips"] if copies else [],
    )


def _figure(sounds: Tensor, sample_rate: int) -> Figure:
    """The first sounds as spectrograms."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.5 * _COLUMNS, 1.8 * _ROWS), layout="constrained")
    for axes, sound in zip(
        figure.subplots(_ROWS, _COLUMNS, sharex=True, sharey=True).flat, sounds, strict=False
    ):
        axes.specgram(sound.numpy() + 1e-6, NFFT=256, noverlap=192, Fs=sample_rate, vmin=-140, vmax=-40)
    figure.supxlabel("time in s")
    figure.supylabel("frequency in Hz")
    return figure
