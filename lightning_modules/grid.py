"""Runs all that makes a paper's table or figure: every missing run of a grid file, here or as a job array.

A run is finished when it has a test result; one that was cut off continues. `lightning_modules.report` makes tables
and figures of what is finished.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence

from datamodules.config.arguments import CommandParser
from lightning_modules.grids.cells import Cell, expand
from lightning_modules.grids.grid_file import read_grid
from lightning_modules.grids.local import LocalRunner, fit
from lightning_modules.grids.slurm import sbatch_command

EXAMPLE = """examples:
  python -m lightning_modules.grid configs/grids/asd_figure3.yaml --list
  python -m lightning_modules.grid configs/grids/asd_figure3.yaml --jobs 4
  python -m lightning_modules.grid configs/grids/asd_figure3.yaml --submit --jobs 32   # at most 32 at once
  python -m lightning_modules.grid configs/grids/ssd_table1.yaml --root runs/trial -- --trainer.max_epochs=1

Overrides after -- go to every run; the ids do not tell of them, so give trials a --root of their own.
Exit codes: 0 all finished, 1 a run failed or the grid is wrong, 2 wrong use, 130 interrupted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    own = list(sys.argv[1:] if arguments is None else arguments)
    split = own.index("--") if "--" in own else len(own)
    parser = build_parser()
    options, overrides = parser.parse_args(own[:split]), own[split + 1 :]
    if options.jobs is not None and options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: expected at least 1")
    if named := [each for each in overrides if each.startswith("--run.")]:
        parser.error(f"{named[0]}: the grid names its runs; --root moves them")
    try:
        cells = expand(read_grid(options.grid), options.root)
        return act(options, cells, overrides)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def build_parser() -> CommandParser:
    """Options of the command."""
    parser = CommandParser("lightning_modules.grid", description=__doc__, epilog=EXAMPLE)
    parser.usage = "%(prog)s GRID [options] [-- overrides of fit]"
    add = parser.add_argument
    add("grid", metavar="GRID", help="a file of configs/grids")
    add("--root", default="runs", help="folder of all experiments (default: %(default)s)")
    add("--jobs", type=int, metavar="N", help="runs at once (default: 1; no limit in a job array)")
    what = parser.add_mutually_exclusive_group()
    add = what.add_argument
    add("--list", action="store_true", help="show the runs and their state; run nothing")
    add("--index", type=int, metavar="I", help="run the one at this place in the list, in this process")
    add("--sbatch", action="store_true", help="print the SLURM command, a job array of what is missing")
    add("--submit", action="store_true", help="run that command")
    return parser


def act(options: argparse.Namespace, cells: Sequence[Cell], overrides: Sequence[str]) -> int:
    """Does what the options ask for with the grid's cells."""
    if options.list:
        print(listing(options.grid, cells))
        return 0
    if options.index is not None:
        return run_one(options.grid, cells, options.index, overrides)
    if options.sbatch or options.submit:
        command = sbatch_command(
            cells, grid=options.grid, root=options.root, jobs=options.jobs, overrides=overrides
        )
        cells[0].run.folder.parent.mkdir(parents=True, exist_ok=True)  # of the tasks' output
        if options.submit:
            return subprocess.run(command, check=False).returncode  # noqa: S603
        print(shlex.join(command))
        return 0
    return run_here(cells, options.jobs or 1, overrides)


def listing(grid: str, cells: Sequence[Cell]) -> str:
    """Returns a line a cell: its index, its state, its id."""
    states = [cell.state for cell in cells]
    counts = ", ".join(f"{states.count(state)} {state}" for state in ("finished", "started", "missing"))
    lines = [f"{cell.index:5}  {state:8}  {cell.run.id}" for cell, state in zip(cells, states, strict=True)]
    example = "python -m lightning_modules.fit " + " ".join(cells[0].arguments())
    return "\n".join([*lines, f"{grid}: {len(cells)} runs: {counts}", f"the first is: {example}"])


def run_one(grid: str, cells: Sequence[Cell], index: int, overrides: Sequence[str]) -> int:
    """Runs one cell in this process: what a task of a job array does."""
    if not 0 <= index < len(cells):
        raise ValueError(f"{grid}: --index {index}: expected 0 to {len(cells) - 1}")
    cell = cells[index]
    if cell.state == "finished":
        print(f"{cell.run.id}: finished")
    else:
        fit(cell.arguments(overrides))
    return 0


def run_here(cells: Sequence[Cell], jobs: int, overrides: Sequence[str]) -> int:
    """Runs what is missing on this machine and says what became of it."""
    if overrides:
        print(f"overrides for all runs, which their ids do not tell of: {' '.join(overrides)}")
    outcome = LocalRunner(jobs=jobs, overrides=overrides).run(cells)
    print(f"{len(outcome.done)} done, {len(outcome.skipped)} skipped, {len(outcome.failed)} failed")
    for id, reason in outcome.failed.items():  # noqa: A001
        print(f"failed: {cells[0].run.folder.parent / id}/log.txt: {reason}")
    if outcome.interrupted:
        print("interrupted: the same command runs what is missing")
        return 130
    return 1 if outcome.failed else 0


if __name__ == "__main__":
    sys.exit(main())
