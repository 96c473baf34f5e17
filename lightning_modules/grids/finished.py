"""What finished runs left on disk, as one line a figure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from lightning_modules.grids.cells import Cell, last_test, read_rows
from lightning_modules.grids.grid_file import Output


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One figure of one run.

    Attributes:
        series: Block and, on a curve, the value of its x axis.
        seed: The run's seed.
        column: The table's column, e.g. a machine.
        item: What is averaged over in a column, e.g. section and domain.
        value: The figure; None where the run could not define it.
        run: Id of the run.
    """

    series: tuple[str, float | None]
    seed: str
    column: str
    item: tuple[str, ...]
    value: float | None
    run: str


@dataclass(kw_only=True)
class Gathered:
    """The finished runs of a grid.

    Attributes:
        rows: Cell and the last test row of its results.csv.
        tables: Run id -> the rows of its tables/test.csv.
        total: How many runs the grid has.
        missing: Ids of the others.
    """

    rows: list[tuple[Cell, dict[str, str]]] = field(default_factory=list)
    tables: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    total: int
    missing: list[str] = field(default_factory=list)


def gather(cells: Sequence[Cell]) -> Gathered:
    """Reads what the cells' runs left: the last test row of results.csv, and tables/test.csv beside it."""
    found = Gathered(total=len(cells))
    for cell in cells:
        row = last_test(cell.run)
        if row is None:
            found.missing.append(str(cell.run.id))
            continue
        found.rows.append((cell, row))
        if (rows := read_rows(cell.run.folder / "tables/test.csv")) is not None:
            found.tables[str(cell.run.id)] = rows
    return found


def findings(found: Gathered, output: Output, value: str) -> list[Finding]:
    """Returns all that the finished runs say of one value.

    Raises:
        ValueError: A run lacks the value, a column or the table, two runs say the same twice, or a figure or the x of
            a curve is no number.
    """
    result = []
    for cell, row in found.rows:
        run = str(cell.run.id)
        x = None
        if output.x is not None and output.x in cell.settings:
            x = _number(cell.settings[output.x], f"{run}: the x of a curve, {output.x},")
        if output.per is None:
            lines, path = [row], cell.run.folder / "results.csv"
        else:
            lines, path = found.tables.get(run), cell.run.folder / "tables/test.csv"
            if lines is None:
                raise ValueError(
                    f"{path}: no such file; test the run again: lightning_modules.test --ckpt_path ..."
                )
        for line in lines:
            for name in (value, output.per, *output.over):
                if name is not None and name not in line:
                    raise ValueError(f"{path}: no column {name}; it has {', '.join(line)}")
            result.append(
                Finding(
                    series=(cell.block.name, x),
                    seed=row["seed"],
                    column=value if output.per is None else line[output.per],
                    item=tuple(line[name] for name in output.over),
                    value=None if line[value] in ("", "nan") else _number(line[value], f"{path}: {value}"),
                    run=run,
                )
            )
    _check_unique(result)
    return result


def _number(value: Any, what: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{what} {value!r}: expected a number") from None


def _check_unique(results: Sequence[Finding]) -> None:
    seen: dict[tuple, str] = {}
    for each in results:
        key = (each.series, each.seed, each.column, each.item)
        if key in seen:
            what = " ".join([each.column, *filter(None, each.item)])
            raise ValueError(
                f"runs {seen[key]} and {each.run} are one series, seed and {what}: "
                "make the axis that tells them apart the x of a curve, or make blocks of its values"
            )
        seen[key] = each.run


def differing_settings(found: Gathered) -> list[str]:
    """Returns a warning for each key of config.yaml in which runs of a block differ though no axis says so."""
    # (block, key) -> value -> the first run with it
    runs: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    unexplained = set()
    for cell, _ in found.rows:
        path = cell.run.folder / "config.yaml"
        config = yaml.load(path.read_text(encoding="utf-8"), Loader=_YAML) if path.is_file() else {}  # noqa: S506
        settings = {name: each for name, each in config.items() if name not in ("run", "tracking")}
        for key, value in _flat(settings):
            runs[cell.block.name, key].setdefault(repr(value), str(cell.run.id))
            # not the axis itself, nor what follows it: by the configuration, as data.seed, or by the block
            follows = any(f"${{{axis}}}" in str(cell.block.set.get(key)) for axis in cell.values)
            if value not in cell.values.values() and not follows:
                unexplained.add((cell.block.name, key))
    return [
        f"runs of {block} differ in {key}: {', '.join(f'{value} in {run}' for value, run in values.items())}"
        for (block, key), values in runs.items()
        if len(values) > 1 and (block, key) in unexplained
    ]


def differing_checkpoints(found: Gathered) -> list[str]:
    """Returns a warning for each block of which some runs were tested with their best checkpoint and others not."""
    runs: dict[str, dict[str, str]] = defaultdict(dict)  # block -> kind -> the first run with it
    for cell, row in found.rows:
        if name := row.get("checkpoint"):
            kind = "its best checkpoint" if name.startswith("best") else name
            runs[cell.block.name].setdefault(kind, str(cell.run.id))
    return [
        f"runs of {block} were tested with {_listed(kinds)}: test them alike"
        for block, kinds in runs.items()
        if len(kinds) > 1
    ]


_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was built


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yields ``data.machine`` and its value for each leaf; init_args is no level that a user names."""
    if not isinstance(value, dict):
        yield key, value
        return
    for name, each in value.items():
        yield from _flat(each, key if name == "init_args" else f"{key}.{name}".lstrip("."))


def check_same_data(found: Gathered, output: Output) -> list[str]:
    """Compares the data lists that the same figures come from: by their hash, or by their numbers of clips.

    Returns:
        A warning for each set of table rows that blocks were scored on with different lists: not to be compared.

    Raises:
        ValueError: Runs of one block were, so that their mean would be of nothing.
    """
    hashed = all(row.get("data_hash") for _, row in found.rows)
    counts: dict[tuple, dict[str, dict[str, str]]] = {}  # items -> block -> list -> the first run with it
    for cell, row in found.rows:
        run = str(cell.run.id)
        lines = found.tables.get(run, []) if output.per is not None else []
        names = [name for name in (output.per, *output.over) if name is not None]
        items = tuple(sorted({" ".join(line[name] for name in names if line[name]) for line in lines}))
        scored = f"{row['clips']} clips" + (f", list {row['data_hash']}," if hashed else "")
        counts.setdefault(items, {}).setdefault(cell.block.name, {}).setdefault(scored, run)
    warnings = []
    for items, blocks in counts.items():
        more = f" and {len(items) - 1} more" if len(items) > 1 else ""
        what = f"{items[0]}{more}" if items else "test"
        together: dict[str, str] = {}
        for block, runs in blocks.items():
            if len(runs) > 1:
                raise ValueError(
                    f"{block}, {what}: runs on different clips have no common mean: {_listed(runs)}; "
                    "test them on one list again"
                )
            for scored, run in runs.items():
                together.setdefault(scored, run)
        if len(together) > 1:
            warnings.append(f"{what}: scored on different clips, not comparable: {_listed(together)}")
    return warnings


def _listed(runs: Mapping[str, str]) -> str:
    return " and ".join(f"{scored} in {run}" for scored, run in runs.items())
