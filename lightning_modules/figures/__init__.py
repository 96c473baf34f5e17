"""What is drawn: of scores, classes, embeddings, sounds and the course of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def panels(count: int, width: float, height: float, *, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of panels, each so many inches wide and high, at most so many columns of them, filled row by row."""
    from matplotlib.figure import Figure  # takes a second

    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure((width * columns, height * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, place + 1) for place in range(count)]
