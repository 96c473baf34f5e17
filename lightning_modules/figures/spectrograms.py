"""Spectrograms to look at, whatever features a network hears."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lightning_modules.figures import panels
from lightning_modules.figures.text import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WINDOW_S = 0.025
_RANGE_DB = 80.0


def spectrogram(waveform: Tensor, *, sample_rate: int) -> Tensor:
    """Power in dB below the loudest bin, at least -80, float32 (frequency, frame).

    Args:
        waveform: (channel, time), of which the first channel is shown.
        sample_rate: In Hz.
    """
    size = round(_WINDOW_S * sample_rate)
    padded = torch.nn.functional.pad(waveform[0].float(), (0, max(size - waveform.shape[1], 0)))
    bins = torch.stft(
        padded, size, hop_length=size // 2, window=torch.hann_window(size), center=False, return_complex=True
    )
    power = bins.abs().square()
    return (10 * (power / power.amax().clamp_min(1e-20)).clamp_min(1e-20).log10()).clamp_min(-_RANGE_DB)


def contact_sheet(
    waveforms: Sequence[Tensor], titles: Sequence[str], *, sample_rate: int, columns: int = 4
) -> Figure:
    """Spectrograms of clips side by side.

    Args:
        waveforms: (channel, time) each.
        titles: One a clip.
        sample_rate: In Hz.
        columns: Clips a row, at most.
    """
    columns = min(columns, len(waveforms))
    figure, places = panels(len(waveforms), 3.6, 2.6, columns=columns)
    for place, (axes, waveform, title) in enumerate(zip(places, waveforms, titles, strict=True)):
        extent = (0.0, waveform.shape[1] / sample_rate, 0.0, sample_rate / 2000)
        image = spectrogram(waveform, sample_rate=sample_rate)
        axes.imshow(
            image, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=-_RANGE_DB, vmax=0
        )
        axes.set_title(plain(title), fontsize=7)
        axes.tick_params(labelsize=7)
        if place % columns == 0:
            axes.set_ylabel("kHz", fontsize=8)
        if place >= len(waveforms) - columns:
            axes.set_xlabel("s", fontsize=8)
    return figure


def color_image(waveform: Tensor, *, sample_rate: int) -> np.ndarray:
    """The spectrogram alone as an image, uint8 (height, width, 3), low frequencies at the bottom."""
    import matplotlib as mpl

    shades = (spectrogram(waveform, sample_rate=sample_rate).flip(0) / _RANGE_DB + 1).numpy()
    return (mpl.colormaps["magma"](shades)[..., :3] * 255).astype(np.uint8)
