"""Packs a team's submission to DCASE Task 2: scores and decisions of up to four systems, meta data and report."""

import sys
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from datamodules.config.arguments import CommandParser
from lightning_modules.metrics.dcase_evaluation import YEARS
from lightning_modules.metrics.dcase_package import MAX_SYSTEMS, System, write_package

EXAMPLE = """example:
  python -m lightning_modules.submit --year 2026 --label Lee_KUL --scores runs/asd_dcase2026/a/scores/test \\
      --meta a.meta.yaml --report report.pdf --into submission.zip

In the zip: Lee_KUL/task2/Lee_KUL_task2_1/{anomaly_score_*.csv, decision_result_*.csv, Lee_KUL_task2_1.meta.yaml} and so
on, and Lee_KUL/task2/Lee_KUL_task2_1.technical_report.pdf. Compare with the challenge's page of the year.
Exit codes: 0 written, 1 a file is wrong (the message says where), 2 wrong use."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    parser = CommandParser("lightning_modules.submit", description=__doc__, epilog=EXAMPLE)
    add = parser.add_argument
    add("--year", type=int, choices=YEARS, required=True, help="edition of the challenge")
    add("--label", required=True, metavar="NAME", help="last name and institute of the corresponding author")
    add(
        "--scores",
        type=Path,
        nargs="+",
        required=True,
        metavar="FOLDER",
        help=f"of each system, at most {MAX_SYSTEMS}, its anomaly_score_*.csv and decision_result_*.csv",
    )
    add("--meta", type=Path, nargs="+", default=[], metavar="FILE", help="of each system, in the same order")
    add("--report", type=Path, metavar="FILE", help="the technical report, PDF")
    add("--into", type=Path, required=True, metavar="FILE", help="the zip")
    options = parser.parse_args(arguments)
    if options.meta and len(options.meta) != len(options.scores):
        parser.error(
            f"--meta: {len(options.meta)} files for {len(options.scores)} systems: name one for each"
        )
    systems = [System(*each) for each in zip_longest(options.scores, options.meta)]
    settings = {"label": options.label, "year": options.year, "report": options.report}
    try:
        package = write_package(options.into, systems, **settings)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.into}: {len(package.names)} files, systems: {len(systems)}")
    if package.missing:
        print(f"warning: no scores of {', '.join(package.missing)}, which {options.year} evaluates")
    if missing := [name for name in ("meta", "report") if not getattr(options, name)]:
        print(f"warning: the challenge asks for --{' and --'.join(missing)} too")
    return 0


if __name__ == "__main__":
    sys.exit(main())
