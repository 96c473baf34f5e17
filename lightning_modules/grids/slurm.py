"""The job array that runs a grid's cells on a SLURM cluster."""

import shlex
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from lightning_modules.grids.cells import Cell

_SCRIPT = """\
#!/bin/bash
# {missing} of {total} runs of {grid} are missing. One task of this array is one run.
# What is submitted again runs only what is then missing, and continues the runs that were cut off.
# Options here give way to the environment (SBATCH_ACCOUNT, SBATCH_PARTITION, SBATCH_TIMELIMIT, ...) and to the
# command line: python -m lightning_modules.grid {grid} --sbatch | sbatch --time=8:00:00
#SBATCH --job-name={name}
#SBATCH --array={array}
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --gpus=1
#SBATCH --cpus-per-task=8
#SBATCH --time=4:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output={output}
set -euo pipefail
cd {folder}
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
srun {command} --index "$SLURM_ARRAY_TASK_ID"{overrides}
"""


def sbatch_script(
    cells: Sequence[Cell], *, grid: str, root: str, jobs: int | None, overrides: Sequence[str]
) -> str:
    """Returns the script for the cells that are not finished.

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
    command = [sys.executable, "-m", "lightning_modules.grid", grid, "--root", root]
    return _SCRIPT.format(
        missing=len(missing),
        total=len(cells),
        grid=grid,
        name=experiment,
        array=_ranges(missing) + (f"%{jobs}" if jobs else ""),
        output=Path(root) / experiment / f"{Path(grid).stem}-%a.txt",
        folder=shlex.quote(str(Path.cwd())),
        command=shlex.join(command),
        overrides=f" -- {shlex.join(overrides)}" if overrides else "",
    )


def _ranges(indices: Sequence[int]) -> str:
    """``0-3,7`` for 0, 1, 2, 3, 7."""
    ranges = []
    for _, group in groupby(enumerate(indices), lambda pair: pair[1] - pair[0]):
        members = [index for _, index in group]
        ranges.append(f"{members[0]}-{members[-1]}" if len(members) > 1 else str(members[0]))
    return ",".join(ranges)
