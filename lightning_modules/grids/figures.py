"""Figures of a report: grouped bars, and curves in a panel per column."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lightning_modules.figures import panels
from lightning_modules.figures.text import plain
from lightning_modules.grids.estimates import AVERAGE, Estimate, Table
from lightning_modules.grids.grid_file import Output

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS_A_ROW = 3
_STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
}
_SHORT = {"auc": "AUC", "pauc": "pAUC", "eer": "EER", "sdr": "SDR", "db": "dB"}


def draw(table: Table, output: Output, colors: Mapping[str, str]) -> Figure:
    """Returns the figure of a table; error bars are plus and minus one standard deviation.

    Args:
        table: At least one estimate.
        output: ``kind`` bars, curve or lines, and how.
        colors: Block or row -> colour, for all of the table.
    """
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        drawings = {"bars": _bars, "curve": _curves, "lines": _lines}
        return drawings[output.kind](table, output, colors)


def _bars(table: Table, output: Output, colors: Mapping[str, str]) -> Figure:
    figure, (axes,) = panels(1, 7.2, 3.0)
    columns = _columns(table)
    width = 0.86 / len(table.estimates)
    for index, ((name, _), row) in enumerate(table.estimates.items()):
        shown = [(place, row[column]) for place, column in enumerate(columns) if column in row]
        axes.bar(
            [place + (index + 0.5) * width - 0.43 for place, _ in shown],
            [each.mean - output.origin for _, each in shown],
            width,
            bottom=output.origin,
            yerr=[each.sd for _, each in shown],
            color=colors[name],
            edgecolor="white",
            linewidth=0.4,
            error_kw={"elinewidth": 0.7, "capsize": 1.5, "capthick": 0.7},
            label=plain(name),
        )
        known = [output.known(name, column, table.value) for column in columns]
        marks = [(place + (index + 0.5) * width - 0.43, mark) for place, mark in enumerate(known) if mark]
        if marks:
            axes.plot(*zip(*marks, strict=True), "kD", markersize=2.5, label="published")
    axes.axhline(output.origin, color="0.3", linewidth=0.6)
    axes.set_xticks(range(len(columns)), [plain(column) for column in columns])
    axes.tick_params("x", length=0)
    axes.set(ylabel=_name(table.value), xlim=(-0.55, len(columns) - 0.45))
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    _legend(figure, table, output)
    return figure


def _curves(table: Table, output: Output, colors: Mapping[str, str]) -> Figure:
    from matplotlib.figure import Figure

    columns = _columns(table)
    ncols = min(PANELS_A_ROW, len(columns))
    nrows = math.ceil(len(columns) / ncols)
    figure = Figure((2.4 * ncols, 1.9 * nrows + 0.6), layout="constrained")
    panels = figure.subplots(nrows, ncols, sharex=True, sharey=True, squeeze=False).ravel()
    for column, axes in zip(columns, panels, strict=False):
        for name in dict.fromkeys(name for name, _ in table.estimates):
            points = [
                (x, row[column])
                for (each, x), row in table.estimates.items()
                if each == name and column in row
            ]
            _line(axes, points, label=plain(name), color=colors[name])
        if output.log_base is not None:
            axes.set_xscale("log", base=output.log_base)
        axes.set_title(plain(column), fontsize=8)
        axes.grid(color="0.92", linewidth=0.6)
    for axes in panels[len(columns) - ncols : len(columns)]:
        axes.tick_params("x", labelbottom=True)  # the lowest of each column, also above an empty place
    for axes in panels[len(columns) :]:
        axes.set_visible(False)
    _legend(figure, table, output)
    figure.supxlabel(_name(output.x or ""), fontsize=8)
    figure.supylabel(_name(table.value), fontsize=8)
    return figure


def _lines(table: Table, output: Output, colors: Mapping[str, str]) -> Figure:
    figure, (axes,) = panels(1, 4.8, 3.2)
    for (name, _), row in table.estimates.items():
        shown = [(place, row[column]) for place, column in enumerate(table.columns) if column in row]
        _line(axes, shown, label=plain(name), color=colors[name])
    before, ticks, after = _shared_words([_name(column).split() for column in table.columns])
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set(ylabel=before, xlabel=after)
    axes.grid(color="0.92", linewidth=0.6)
    _legend(figure, table, output)
    return figure


def _shared_words(names: Sequence[list[str]]) -> tuple[str, list[str], str]:
    """The words that all names begin with, what is left of each, and the words that all end with."""
    shortest = min(map(len, names)) - 1
    begin = next((i for i in range(shortest) if len({name[i] for name in names}) > 1), shortest)
    end = next(
        (i for i in range(shortest - begin) if len({name[-1 - i] for name in names}) > 1), shortest - begin
    )
    left = [" ".join(name[begin : len(name) - end]) for name in names]
    return " ".join(names[0][:begin]), left, " ".join(names[0][len(names[0]) - end :])


def _line(axes: Any, points: Sequence[tuple[float | None, Estimate]], **style: str) -> None:
    """Draws a block: a curve, or a level with its deviation where the block has no x."""
    levels = [estimate for x, estimate in points if x is None]
    for estimate in levels:
        axes.axhline(estimate.mean, linestyle="--", linewidth=1.1, **style)
        low, high = estimate.mean - estimate.sd, estimate.mean + estimate.sd
        axes.axhspan(low, high, color=style["color"], alpha=0.2, linewidth=0)
    curve = sorted((x, estimate) for x, estimate in points if x is not None)
    if curve:
        axes.errorbar(
            [x for x, _ in curve],
            [estimate.mean for _, estimate in curve],
            [estimate.sd for _, estimate in curve],
            marker="o",
            markersize=2.5,
            linewidth=1.1,
            elinewidth=0.7,
            capsize=1.5,
            **style,
        )


def _columns(table: Table) -> list[str]:
    """The table's columns without the average, which is no machine."""
    return [column for column in table.columns if column != AVERAGE]


def _legend(figure: Figure, table: Table, output: Output) -> None:
    counts = {estimate.n for row in table.estimates.values() for estimate in row.values()}
    seeds = f"{max(counts)} seeds" if len(counts) == 1 else f"{min(counts)} to {max(counts)} seeds"
    spread = f"mean and ± 1 standard deviation over {seeds}" if max(counts) > 1 else "one seed"
    entries = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    legend = figure.legend(
        entries.values(),  # pyright: ignore[reportArgumentType]
        entries.keys(),
        loc="outside upper center",
        ncols=min(len(entries), 4),
        title=f"{plain(output.title)}\n{spread}",
    )
    legend.get_title().set_multialignment("center")


def _name(key: str) -> str:
    """``AUC`` for auc; words for the last part of a longer key."""
    words = key.rpartition(".")[2].replace("num_", "number of ").split("_")
    return " ".join(_SHORT.get(word, word) for word in words)
