"""Makes a paper's tables and figures of the finished runs of a grid: Markdown, CSV, LaTeX and PNG.

Of an evaluations.csv, or the folder of one, it makes the matrix of spoofing detectors by corpora: what each was trained
on, its EER on each corpus, their mean, one threshold for all, and what was published.

Figures are averaged over sections and the like within a seed, then over seeds, and stand beside the published ones.
What is missing is said, and a seed that is incomplete is left out of the average it would distort. Runs that were
tested on different clips are not averaged.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from datamodules.config.arguments import CommandParser
from datamodules.files import write_text_atomically
from lightning_modules.grids.cells import expand
from lightning_modules.grids.estimates import SEVERAL, Table, label, tabulate
from lightning_modules.grids.finished import (
    Finding,
    Gathered,
    check_same_data,
    differing_checkpoints,
    differing_settings,
    findings,
    gather,
)
from lightning_modules.grids.grid_file import Grid, Output, read_grid
from lightning_modules.grids.table_text import as_csv, latex, markdown
from lightning_modules.matrix.evaluated import is_table
from lightning_modules.matrix.published import SHIPPED

EXAMPLE = """examples:
  python -m lightning_modules.report configs/grids/asd_figure3.yaml     # reports/asd_figure3/README.md
  python -m lightning_modules.report tables/evaluations.csv --threshold-from asvspoof_5     # reports/tables/README.md

Exit codes: 0 reported, 1 nothing to report or a file is wrong (the message says where), 2 wrong use."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    parser = CommandParser("lightning_modules.report", description=__doc__, epilog=EXAMPLE)
    parser.add_argument(
        "grid", metavar="GRID_OR_TABLE", help="a file of configs/grids, or an evaluations.csv or its folder"
    )
    parser.add_argument("--root", default="runs", help="folder of all experiments (default: %(default)s)")
    parser.add_argument(
        "--output",
        type=Path,
        help="folder of the report (default: reports/<name of the grid, or of the folder>)",
    )
    parser.add_argument(
        "--threshold-from",
        metavar="NAME",
        help="of a table: corpus whose EER threshold decides on corpora of one class (default: validation of the"
        " checkpoints' own data, or the first corpus of both classes)",
    )
    parser.add_argument(
        "--published",
        default=SHIPPED,
        metavar="FILE",
        help="of a table: published figures (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    try:
        print(_reported(options), end="")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _reported(options: argparse.Namespace) -> str:
    path = Path(options.grid)
    if not is_table(path):
        return report(options.grid, options.root, options.output or Path("reports") / path.stem)
    from lightning_modules.matrix.report import report as of_evaluations

    name = path.parent.name if path.suffix == ".csv" else path.name
    return of_evaluations(
        path,
        options.output or Path("reports") / (name or "evaluations"),
        threshold_from=options.threshold_from,
        published=options.published,
    )


def report(path: str, root: str, folder: Path) -> str:
    """Writes README.md, and for each output its CSV files and figures, into the folder; returns the README's text."""
    grid = read_grid(path)
    if not grid.report.outputs:
        raise ValueError(f"{path}: no report.outputs say what to make of the runs")
    found = gather(expand(grid, root))
    if not found.rows:
        raise ValueError(f"{path}: none of {found.total} runs is finished in {root}/{grid.experiment}")
    text = [f"# {Path(path).stem}\n", *(f"- {line}" for line in _remarks(found, path)), ""]
    for output in grid.report.outputs:
        shown = _of_blocks(found, output.blocks)
        tables = _tables(shown, output)
        text += [f"## {output.title}\n", *(f"- warning: {line}" for line in check_same_data(shown, output))]
        for name, table in tables:
            said = [f"- {line}" for line in [*table.left_out, *_only_published(table, output)]]
            text += [*said, "", markdown(table, output)] if said else [markdown(table, output)]
            write_text_atomically(folder / f"{name}.csv", as_csv(table, output))
            write_text_atomically(folder / f"{name}.tex", latex(table, output))
            if output.kind != "table" and table.estimates:
                _save_figure(folder / f"{name}.png", table, output, grid)
                text.append(f"![{output.title}]({name}.png)\n")
    write_text_atomically(folder / "README.md", "\n".join(text))
    return "\n".join(text)


def _remarks(found: Gathered, path: str) -> list[str]:
    """Says what the figures rest on."""
    rows = [row for _, row in found.rows]
    commits = sorted({row.get("commit") or "unknown" for row in rows})
    dates = sorted(row["date"][:10] for row in rows if row.get("date"))
    lines = [f"{len(rows)} of {found.total} runs are finished"]
    if found.missing:
        more = f" and {len(found.missing) - 3} more" if len(found.missing) > 3 else ""
        missing = ", ".join(found.missing[:3])
        lines[0] += f"; missing: {missing}{more}; `python -m lightning_modules.grid {path}` runs them"
    if dates:
        lines.append(f"tested {dates[0]} to {dates[-1]}, code {', '.join(commits)}")
    warnings = [*differing_settings(found), *differing_checkpoints(found)]
    return lines + [f"warning: {line}" for line in warnings]


def _of_blocks(found: Gathered, names: Sequence[str]) -> Gathered:
    rows = [(cell, row) for cell, row in found.rows if not names or cell.block.name in names]
    return replace(found, rows=rows)


def _only_published(table: Table, output: Output) -> list[str]:
    """Says which published rows the runs have no counterpart of."""
    rows = output.published.rows if output.published is not None else {}
    missing = sorted(set(rows) - {label(series) for series in table.estimates})
    return [f"published, and not among the finished runs: {', '.join(missing)}"] if missing else []


def _tables(found: Gathered, output: Output) -> list[tuple[str, Table]]:
    """Returns name and table: one a value, or a single one with the values as columns where there is no ``per``."""
    made = _without_differences(found, output)
    if output.baseline is not None:
        from lightning_modules.grids.paired import add_differences

        for _, table in made:
            add_differences(table, found, output.baseline)
    return made


def _without_differences(found: Gathered, output: Output) -> list[tuple[str, Table]]:
    if output.rows is not None:
        return [(output.name, tabulate(_by_row(found, output), value=SEVERAL, average=False))]
    by_value = {value: findings(found, output, value) for value in output.values}
    if output.per is None:
        together = [each for found in by_value.values() for each in found]
        return [(output.name, tabulate(together, value=SEVERAL, average=False))]
    return [
        (f"{output.name}_{value}", tabulate(each, value=value, average=True))
        for value, each in by_value.items()
    ]


def _by_row(found: Gathered, output: Output) -> list[Finding]:
    """Findings whose series are the rows of the runs' tables; with several blocks each row names its block."""
    several = len({cell.block.name for cell, _ in found.rows}) > 1
    return [
        replace(
            each, series=(f"{each.series[0]}: {each.column}" if several else each.column, None), column=value
        )
        for value in output.values
        for each in findings(found, replace(output, per=output.rows), value)
        if each.value is not None  # a row need not have every figure
    ]


def _save_figure(path: Path, table: Table, output: Output, grid: Grid) -> None:
    from lightning_modules.grids.figures import draw

    series = [block.name for block in grid.blocks] + [name for name, _ in table.estimates]
    colors: Mapping[str, str] = {name: f"C{index % 10}" for index, name in enumerate(dict.fromkeys(series))}
    draw(table, output, {**colors, **grid.report.colors}).savefig(path, dpi=200)


if __name__ == "__main__":
    sys.exit(main())
