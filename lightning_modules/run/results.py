"""How what an evaluation found reaches the run's folder, the loggers and the screen."""

import contextlib
import csv
import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import lock_descriptor
from lightning.pytorch.loggers import Logger, WandbLogger
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datamodules.files import csv_text, write_text_atomically
from lightning_modules.run.folder import Run
from lightning_modules.run.provenance import commit, recorded_data_hash
from lightning_modules.run.rows import Report, Row
from lightning_modules.run.tracking import PatientWandbLogger


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Writes a breakdown as CSV with full precision; an undefined figure is empty."""
    defined = [{name: "" if value != value else value for name, value in row.items()} for row in rows]
    write_text_atomically(path, csv_text(list(rows[0]), defined))


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Appends ``row`` to a CSV file; a column that the file lacks is added to its older rows, empty.

    Evaluations of one run may end at once, so they take turns where the file system has locks.
    """
    with _one_at_a_time(path):
        rows: list[Mapping[str, Any]] = []
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        rows.append(row)
        columns = list(dict.fromkeys(key for row in rows for key in row))
        write_text_atomically(path, csv_text(columns, rows))


@contextlib.contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Holds a lock beside the file, which is replaced."""
    with path.with_name(f".{path.name}.lock").open("ab") as file:
        with contextlib.suppress(OSError):  # no locks on this file system
            lock_descriptor(file.fileno())
        yield


def result_row(
    run: Run, split: str, checkpoint: str | Path | None, seed: int, report: Report
) -> dict[str, Any]:
    """Returns the row of results.csv: which run, scored how, with which figures."""
    return {
        "experiment": run.experiment,
        "run": run.id,
        "split": split,
        "seed": seed,
        "checkpoint": Path(checkpoint).name if checkpoint else "",
        "clips": len(report.keys),
        **{name: f"{value:.6f}" for name, value in report.metrics.items()},
        **({"data": report.data} if report.data else {}),
        "data_hash": recorded_data_hash(run, split),
        "commit": commit(),
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }


def save_figures(folder: Path, split: str, report: Report, loggers: Sequence[Logger], *, title: str) -> None:
    """Saves the figures as PNG, a title above each, and sends them to W&B where it is on."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in report.figures.items():
        path = folder / f"{split}_{name}.png"
        figure.suptitle(title, fontsize=9)
        figure.savefig(path, dpi=150)
        for logger in loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image(f"{split}/{name}", [str(path)])


def log_metrics(split: str, report: Report, loggers: Sequence[Logger], step: int, *, scores: Path) -> None:
    """Sends the figures that sum the split up to all loggers, and to W&B the written scores and the checkpoints."""
    for logger in loggers:
        logger.log_metrics({f"{split}/{name}": value for name, value in report.metrics.items()}, step)
        logger.save()
        if isinstance(logger, PatientWandbLogger):
            logger.log_files(split, scores)


def show(title: str, report: Report) -> None:
    """Prints warnings, the breakdown and the figures that sum it up."""
    console = Console()
    for warning in report.warnings:
        console.print(f"[bold red]warning:[/] {escape(warning)}")
    if report.table:
        console.print(_table(title, report.table))
    if report.metrics:
        console.print(_table(f"{title}: {len(report.keys)} clips", [report.metrics]))


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=title)
    for column in rows[0]:
        table.add_column(column, justify="right" if isinstance(rows[0][column], int | float) else "left")
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    return table


def _cell(value: str | int | float) -> str:
    if isinstance(value, float):
        return "undefined" if math.isnan(value) else f"{value:.4f}"
    return escape(str(value))  # names of classes may hold brackets
