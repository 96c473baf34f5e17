"""Says what a method must beat: simple baselines on the clips of its configuration, in figures of its own report.

Clips are described by mean and deviation of 40 mel bands over what is heard in evaluation. Logistic regression and the
nearest training clip tell classes apart; the nearest normal clip, the distance of Mahalanobis and logistic regression
of machine instances find anomalies; mappings are linear, or those of the nearest example; the rival of a generator
shuffles its training clips.

Examples:
    python -m lightning_modules.baseline --config configs/ssd_aasist.yaml
    python -m lightning_modules.baseline --config configs/production_tagger.yaml --data.root=Samples
    python -m lightning_modules.baseline --ckpt_path runs/ssd_aasist/3f2a/checkpoints/last.ckpt --output baselines.csv

Exit codes: 0 evaluated, 1 a file is wrong or the method has no baseline, 2 wrong use.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datamodules.config.arguments import CommandParser
from datamodules.files import csv_text, write_text_atomically
from lightning_modules.commands.launch import launch

if TYPE_CHECKING:
    from lightning_modules.run.rows import Report


def main() -> None:
    """Runs the command."""
    parser = CommandParser("lightning_modules.baseline", description=__doc__, add_help=False)
    parser.add_argument("--output", type=Path, help="also write the figures to this CSV file")
    options, arguments = parser.parse_known_args()
    from lightning_modules.config import cli

    platform = cli.build("baseline", __doc__ or "", arguments, also_known=parser.known)
    from lightning_modules.baselines.tasks import baselines

    platform.datamodule.prepare_data()
    reports = baselines(platform.model, platform.datamodule)
    experiment = platform.run_folder.experiment
    show(experiment, reports)
    if options.output is not None:
        write(options.output, experiment, reports)


def show(experiment: str, reports: Mapping[str, Report]) -> None:
    """Prints the figures, a column a baseline."""
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


def write(path: Path, experiment: str, reports: Mapping[str, Report]) -> None:
    """Writes the figures as CSV, a row a baseline."""
    rows = [
        {"experiment": experiment, "baseline": name, "split": "test", "clips": len(report.keys)}
        | {figure: f"{value:.6f}" for figure, value in report.metrics.items()}
        for name, report in reports.items()
    ]
    write_text_atomically(path, csv_text(list(rows[0]), rows))


if __name__ == "__main__":
    launch(main)
