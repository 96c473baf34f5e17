"""A grid's cells: one run each, with an id that says which and stays the same."""

import csv
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_modules.grids.grid_file import Block, Grid
from lightning_modules.run.folder import Run


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run of a grid.

    Attributes:
        index: Place in the grid, from 0; a job array's task.
        block: The block it is of.
        values: Key -> value on the block's axes.
        run: Its folder.
    """

    index: int
    block: Block
    values: Mapping[str, Any]
    run: Run

    @property
    def settings(self) -> dict[str, Any]:
        """All overrides that tell it from other runs."""
        return {**self.block.set, **self.values}

    def arguments(self, overrides: Sequence[str] = ()) -> list[str]:
        """Returns the arguments of ``fit``; what makes the cell this cell wins over ``overrides``."""
        run = self.run
        return [
            *(f"--config={config}" for config in self.block.config),
            "--trainer.enable_progress_bar=false",  # the output is a file
            *overrides,
            *(f"--{key}={_argument(value)}" for key, value in self.settings.items()),
            *(f"--run.{key}={value}" for key, value in vars(run).items()),
        ]

    @property
    def state(self) -> str:
        """``finished`` when the run has been tested, ``started`` when it can be continued, or ``missing``."""
        if last_test(self.run) is not None:
            return "finished"
        return "started" if self.run.last_checkpoint.is_file() else "missing"


def last_test(run: Run) -> dict[str, str] | None:
    """Returns the last row of the run's results.csv that is of the test split of its own data, scored as it says."""
    rows = read_rows(run.folder / "results.csv") or ()
    return next((row for row in reversed(rows) if row.get("split") == "test" and _is_own(row)), None)


def _is_own(row: Mapping[str, str]) -> bool:
    """Whether a row has the plain names of a run's own evaluations, see `run.evaluations`; older ones tell none."""
    return (row.get("files") or "test") == "test"


def read_rows(path: Path) -> list[dict[str, str]] | None:
    """Returns the rows of a CSV file, or None where there is no such file."""
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def expand(grid: Grid, root: str | Path = "runs") -> list[Cell]:
    """Returns the cells of all blocks, in the order of the file, the last axis changing fastest.

    Raises:
        ValueError: Two cells have the same id or the same settings, or an id is no folder name.
    """
    cells: list[Cell] = []
    for block in grid.blocks:
        for values in _combinations(block):
            run = Run(experiment=grid.experiment, id=_id(block.name, values), root=str(root))
            cells.append(Cell(index=len(cells), block=block, values=values, run=run))
    _check_different(cells)
    return cells


def _combinations(block: Block) -> Iterator[dict[str, Any]]:
    axes = [[(axis.split(","), value) for value in values] for axis, values in block.axes.items()]
    for point in itertools.product(*axes):
        yield {
            key: each
            for keys, value in point
            for key, each in zip(keys, value if len(keys) > 1 else [value], strict=True)
        }


def _id(name: str, values: Mapping[str, Any]) -> str:
    """``same_type_a-fan-id_00-seed_181096``: words speak for themselves, numbers need their key."""
    parts = [name]
    for key, value in values.items():
        plain = key.rpartition(".")[2].removesuffix("_everything")
        parts.append(value if isinstance(value, str) else f"{plain}_{_argument(value)}")
    return "-".join(re.sub(r"[^\w.]+", "_", part).strip("_.") for part in parts)


def _argument(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _check_different(cells: Sequence[Cell]) -> None:
    ids: dict[str, Cell] = {}
    runs: dict[str, Cell] = {}
    for cell in cells:
        identity = json.dumps([list(cell.block.config), sorted(cell.settings.items())], default=str)
        for seen, key, what in (
            (ids, str(cell.run.id), "have the same id"),
            (runs, identity, "are the same run"),
        ):
            if key in seen:
                first, second = (f"{each.block.name!r} {dict(each.values)}" for each in (seen[key], cell))
                raise ValueError(f"two cells {what}, {cell.run.id}: {first} and {second}")
            seen[key] = cell
