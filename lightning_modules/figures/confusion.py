"""What classes are taken for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lightning_modules.figures import panels
from lightning_modules.figures.text import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion_figure(target: Tensor, predicted: Tensor, names: Sequence[str]) -> Figure:
    """Confusion matrix: what the clips of each class (row) were taken for, as shares of the row.

    Args:
        target: int64 (clip,), class indices.
        predicted: int64 (clip,).
        names: Of the classes, by index.
    """
    count = len(names)
    matrix = torch.bincount(target * count + predicted, minlength=count**2).reshape(count, count)
    shares = matrix / matrix.sum(dim=1, keepdim=True).clamp(min=1)
    size = 3.0 + 0.28 * count
    figure, (axes,) = panels(1, size, size)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in matrix.nonzero().tolist():
        color = "white" if shares[row, column] > 0.5 else "black"
        axes.text(
            column, row, str(int(matrix[row, column])), ha="center", va="center", fontsize=7, color=color
        )
    shown = [plain(name) for name in names]
    axes.set_xticks(range(count), shown, rotation=90, fontsize=8)
    axes.set_yticks(range(count), shown, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return figure
