"""The course of a run, drawn from its metrics.csv."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_modules.figures import panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = ("train/", "val/")
_COLUMNS = 3
_MARKED = 100  # points of a curve that can be told apart


def history_figure(path: Path) -> Figure | None:
    """One panel a logged value of training and validation, over the steps; None where there is none.

    Args:
        path: A metrics.csv; it need not exist.
    """
    curves = _curves(path)
    if not curves:
        return None
    figure, places = panels(len(curves), 4.0, 2.6, columns=_COLUMNS)
    for axes, (name, points) in zip(places, curves.items(), strict=True):
        steps, values = zip(*points, strict=True)
        axes.plot(
            steps,
            values,
            marker="." if len(points) <= _MARKED else None,
            color="C1" if name.startswith("val/") else "C0",
            lw=1,
        )
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(color="0.9")
    figure.supxlabel("step", fontsize=9)
    return figure


def _curves(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Name -> (step, value) of each logged value."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in (rows[0] if rows else ()) if name.startswith(_SHOWN)]
    curves = {name: [(int(row["step"]), float(row[name])) for row in rows if row[name]] for name in names}
    return {name: points for name, points in curves.items() if points}
