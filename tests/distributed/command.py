"""Commands in processes of their own, on CPUs alone."""

import csv
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def run(command: str, *arguments: str) -> str:
    """Run a command to its success and return what it printed."""
    process = subprocess.run(
        [sys.executable, "-m", f"lightning_modules.{command}", *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    output = process.stdout + process.stderr
    assert process.returncode == 0, output[-3000:]
    return output


def the_row(folder: Path) -> dict[str, str]:
    """The row of results.csv: the same evaluation, made again, replaces it."""
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    return row
