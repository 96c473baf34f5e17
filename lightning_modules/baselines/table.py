"""The table of a configuration's baselines."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datamodules.files import csv_text, write_text_atomically
from lightning_modules.baselines.tasks import baselines
from lightning_modules.config.cli import Platform
from lightning_modules.run.rows import Report


def evaluate_baselines(platform: Platform, output: Path | None) -> None:
    """Prints the figures of all baselines of a configuration, and writes them as CSV where `output` is named."""
    platform.datamodule.prepare_data()
    reports = baselines(platform.model, platform.datamodule)
    experiment = platform.run_folder.experiment
    _show(experiment, reports)
    if output is not None:
        rows = [
            {"experiment": experiment, "baseline": name, "split": "test", "clips": len(report.keys)}
            | {figure: f"{value:.6f}" for figure, value in report.metrics.items()}
            for name, report in reports.items()
        ]
        write_text_atomically(output, csv_text(list(rows[0]), rows))


def _show(experiment: str, reports: Mapping[str, Report]) -> None:
    first = next(iter(reports.values()))
    table = Table(title=f"{escape(experiment)}: baselines on the test split, {len(first.keys)} clips")
    table.add_column("figure")
    for name in reports:
        table.add_column(name, justify="right")
    for figure in first.metrics:
        table.add_row(figure, *(f"{report.metrics[figure]:.4f}" for report in reports.values()))
    console = Console()
    for warning in first.warnings:
        console.print(f"[bold red]warning:[/] {escape(warning)}")
    console.print(table)
