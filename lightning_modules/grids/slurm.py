"""The job array that runs a grid's cells on a SLURM cluster."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from lightning_modules.grids.cells import Cell


def sbatch_command(
    cells: Sequence[Cell], *, grid: str, root: str, jobs: int | None, overrides: Sequence[str]
) -> list[str]:
    """Returns the command that submits ``slurm/grid.sbatch`` for the cells that are not finished.

    Args:
        cells: All cells; their places are the array's indices, whatever is finished.
        grid: The grid file.
        root: Folder of all experiments.
        jobs: How many tasks may run at once; None is no limit.
        overrides: Arguments of ``fit`` for all cells.

    Raises:
        ValueError: All cells are finished.
    """
    missing = [cell.index for cell in cells if cell.state != "finished"]
    if not missing:
        raise ValueError(f"{grid}: all {len(cells)} runs are finished, nothing to submit")
    experiment = cells[0].run.experiment
    return [
        "sbatch",
        f"--job-name={experiment}",
        f"--array={_ranges(missing)}" + (f"%{jobs}" if jobs else ""),
        f"--output={Path(root) / experiment / Path(grid).stem}-%a.txt",
        "slurm/grid.sbatch",
        *(grid, "--root", root),
        *(["--", *overrides] if overrides else []),
    ]


def _ranges(indices: Sequence[int]) -> str:
    """``0-3,7`` for 0, 1, 2, 3, 7."""
    ranges = []
    for _, group in groupby(enumerate(indices), lambda pair: pair[1] - pair[0]):
        members = [index for _, index in group]
        ranges.append(f"{members[0]}-{members[-1]}" if len(members) > 1 else str(members[0]))
    return ",".join(ranges)
