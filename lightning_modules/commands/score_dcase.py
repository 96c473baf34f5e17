"""Scoring of a DCASE Task 2 submission against its ground truth."""

import argparse
import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from lightning_modules.metrics.dcase_evaluation import DcaseEvaluation, evaluate_dcase
from lightning_modules.metrics.dcase_ground_truth import read_ground_truth
from lightning_modules.metrics.dcase_means import FigureRow
from lightning_modules.metrics.dcase_submission import read_submission

HEADINGS = {"auc": "AUC %", "pauc": "pAUC %", "auc_all": "AUC (all) %", "f1": "F1 %"}


def score_dcase(options: argparse.Namespace, console: Console) -> None:
    """Reads the files, evaluates, prints and writes."""
    truth = read_ground_truth(options.ground_truth) if options.ground_truth else None
    submission = read_submission(options.scores, truth)
    year = options.year or submission.year
    evaluation = evaluate_dcase(
        submission.scores,
        submission.is_anomaly,
        machine=submission.machine,
        section=submission.section,
        domain=submission.domain,
        year=year,
        decisions=submission.decisions or None,
    )
    rules = "2022 and later" if year > 2021 else year
    console.print(f"DCASE Task 2, rules of {rules}, {options.scores}", soft_wrap=True, highlight=False)
    console.print(result_table(evaluation.rows))
    console.print(result_table([row for row in evaluation.means if not row["domain"]]))
    for name, value in evaluation.summary.items():
        console.print(f"{name}: {value:.4%}", highlight=False)
    for warning in evaluation.warnings:
        console.print(f"warning: {warning}", style="bold red", soft_wrap=True)
    if options.json:
        write_json(options.json, evaluation)
    if options.csv:
        write_csv(options.csv, evaluation.rows)


def result_table(rows: Sequence[FigureRow]) -> Table:
    """Lays rows out for the terminal, in percent; columns without any entry are left out."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown = [name for name in rows[0] if any(row[name] != "" for row in rows)]
    for name in shown:
        if isinstance(rows[0][name], str):
            table.add_column(name, overflow="fold")
        else:
            table.add_column(HEADINGS.get(name, f"{name} %"), justify="right", no_wrap=True)
    apart = len({row["machine"] for row in rows}) < len(rows)  # a line between machines of several rows
    for row, following in zip(rows, [*rows[1:], rows[-1]], strict=True):
        last = apart and following["machine"] != row["machine"]
        table.add_row(*(_cell(row[name]) for name in shown), end_section=last)
    return table


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return value or "all"
    return "-" if math.isnan(value) else f"{value * 100:.2f}"


def write_json(path: Path, evaluation: DcaseEvaluation) -> None:
    """Writes everything; undefined numbers are null."""
    tables = {
        "summary": _defined(evaluation.summary),
        "rows": [_defined(row) for row in evaluation.rows],
        "means": [_defined(row) for row in evaluation.means],
        "warnings": evaluation.warnings,
    }
    path.write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")


def write_csv(path: Path, rows: Sequence[FigureRow]) -> None:
    """Writes one line a machine, section and domain; an empty number is undefined."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(_defined(row) for row in rows)


def _defined(row: FigureRow | dict[str, float]) -> dict[str, str | float | None]:
    return {name: None if value != value else value for name, value in row.items()}
