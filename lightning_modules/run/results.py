"""How what an evaluation found reaches the run's folder, the loggers and the screen."""

import contextlib
import csv
import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from filelock import lock_descriptor
from lightning.pytorch.loggers import Logger, WandbLogger
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datamodules.files import csv_text, write_csv, write_text_atomically
from lightning_modules.run.evaluations import Evaluation
from lightning_modules.run.folder import Run
from lightning_modules.run.provenance import commit
from lightning_modules.run.rows import Report, Row
from lightning_modules.run.tracking import PatientWandbLogger


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Writes a breakdown as CSV with full precision; an undefined figure is empty."""
    defined = [{name: "" if value != value else value for name, value in row.items()} for row in rows]
    write_text_atomically(path, csv_text(list(rows[0]), defined))


def trials_path(tables: Path, name: str) -> Path:
    """Where the trials of an evaluation of this name stand."""
    return tables / f"{name}_trials.csv"


def write_trials(tables: Path, name: str, columns: Mapping[str, Sequence[str]]) -> None:
    """Writes a row a trial."""
    write_csv(trials_path(tables, name), chain([columns], zip(*columns.values(), strict=True)))


def put_row(path: Path, row: Mapping[str, Any], *, same: Sequence[str]) -> None:
    """Puts ``row`` at the end of a CSV file, in the place of one that says the same in the columns ``same``.

    A column that the file lacks is added to its older rows, empty. Evaluations of one run may end at once, so they take
    turns where the file system has locks.
    """
    with _one_at_a_time(path):
        rows: list[Mapping[str, Any]] = []
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                rows = [each for each in csv.DictReader(file) if not _agree(each, row, same)]
        rows.append(row)
        columns = list(dict.fromkeys(key for row in rows for key in row))
        write_text_atomically(path, csv_text(columns, rows))


def _agree(old: Mapping[str, str | None], row: Mapping[str, Any], columns: Sequence[str]) -> bool:
    return all(old.get(name) == str(row[name]) for name in columns)


@contextlib.contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Holds a lock beside the file, which is replaced."""
    with path.with_name(f".{path.name}.lock").open("ab") as file:
        with contextlib.suppress(OSError):  # no locks on this file system
            lock_descriptor(file.fileno())
        yield


_ON_SCREEN = 40  # rows of a breakdown, beneath which the figures of all clips stay in sight

SAME = ("split", "files", "checkpoint", "data_hash", "settings")
"""Columns of results.csv by which a later evaluation is the same one, made anew."""


def result_row(
    run: Run, evaluation: Evaluation, checkpoint: str | Path | None, seed: int, report: Report
) -> dict[str, Any]:
    """Returns the row of results.csv: which run, what was scored and how, with which figures."""
    origin = made_by(run, checkpoint, seed)
    return {
        **{name: origin[name] for name in ("experiment", "run")},
        "split": evaluation.split,
        "files": evaluation.name,
        "data_set": evaluation.data_set,
        **{name: origin[name] for name in ("seed", "checkpoint")},
        "clips": len(report.keys),
        **{name: f"{value:.6f}" for name, value in report.metrics.items()},
        **{
            name: f"{value:.6f}" if isinstance(value, float) else value
            for name, value in report.columns.items()
        },
        **({"data": report.data} if report.data else {}),
        "data_hash": evaluation.data_hash,
        "settings": evaluation.settings,
        **{name: origin[name] for name in ("commit", "date")},
    }


def made_by(run: Run, checkpoint: str | Path | None, seed: int) -> dict[str, Any]:
    """Returns where figures come from: run, seed, checkpoint, code and the present time."""
    return {
        "experiment": run.experiment,
        "run": run.id,
        "seed": seed,
        "checkpoint": Path(checkpoint).name if checkpoint else "",
        "commit": commit(),
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }


def save_figures(folder: Path, name: str, report: Report, loggers: Sequence[Logger], *, title: str) -> None:
    """Saves the figures of an evaluation of this name as PNG, a title above each, and sends them to W&B, if on."""
    folder.mkdir(parents=True, exist_ok=True)
    for figure_name, figure in report.figures.items():
        path = folder / f"{name}_{figure_name}.png"
        figure.suptitle(title, fontsize=9)
        figure.savefig(path, dpi=150)
        for logger in loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image(f"{name}/{figure_name}", [str(path)])


def log_metrics(name: str, report: Report, loggers: Sequence[Logger], step: int, *, scores: Path) -> None:
    """Sends the figures that sum an evaluation up to all loggers, and to W&B the written scores and the checkpoints."""
    for logger in loggers:
        logger.log_metrics({f"{name}/{figure}": value for figure, value in report.metrics.items()}, step)
        logger.save()
        if isinstance(logger, PatientWandbLogger):
            logger.log_files(name, scores)


def show(title: str, report: Report) -> None:
    """Prints warnings, the breakdown and the figures that sum it up."""
    console = Console()
    for warning in report.warnings:
        console.print(f"[bold red]warning:[/] {escape(warning)}")
    if len(report.table) > _ON_SCREEN:
        console.print(f"{title}: {len(report.table)} rows of the breakdown are in tables/")
    elif report.table:
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
