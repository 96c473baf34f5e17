"""A grid file: which runs make a table or figure, and how to lay it out. Read and checked as a whole."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml

from datamodules.config.files import check_file
from datamodules.config.shipped import config_path

Kind = Literal["table", "bars", "curve", "lines"]


@dataclass(frozen=True, kw_only=True)
class Block:
    """A product of runs: one series of the report.

    Attributes:
        name: Label of the series; the first part of its runs' ids.
        config: Configuration files, overlays last.
        set: Overrides that all its runs share.
        axes: Key -> values, all combined. ``a,b`` is a joint axis: keys that change together, values of lists.
    """

    name: str
    config: Sequence[str]
    set: Mapping[str, Any] = field(default_factory=dict)
    axes: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Published:
    """Figures that stand in the literature, shown beside ours.

    Attributes:
        source: Where they stand, and what they are the mean of.
        rows: Row of the report -> value -> figure, on the scale of the runs' results; with ``per`` each figure is a
            mapping of its own, column -> value -> figure.
    """

    source: str
    rows: Mapping[str, Mapping[str, Any]]

    def figure(self, row: str, column: str, value: str) -> float | None:
        """Returns the figure of a cell, or None where none was published."""
        found = self.rows.get(row, {}).get(column)
        return found.get(value) if isinstance(found, Mapping) else found


@dataclass(frozen=True, kw_only=True)
class Output:
    """One table of the report, or one for each value, and its figure.

    Attributes:
        name: Name of its files.
        kind: ``bars``: a group per column, a bar per block; ``curve``: a panel per column, a line per block;
            ``lines``: a line per row over the columns.
        values: Columns of the runs' results, as fractions.
        title: What it shows, of which paper.
        per: Column of tables/test.csv that makes the columns, e.g. ``machine``; without it results.csv is read.
        rows: Column of tables/test.csv that makes the rows instead of the blocks; the values are the columns.
        over: Columns of tables/test.csv that are averaged over within a seed, e.g. ``section``.
        x: Axis of the curve; a block without it is a level.
        log_base: Of the curve's x axis; null is linear.
        origin: Where bars begin, e.g. chance level.
        baseline: Block that the others are compared with: accuracies, ``top<k>`` or ``<head>_top<k>``, by paired tests
            on the same clips, other values by paired tests over seeds and, for an average, over its items.
        blocks: Blocks to show; none named are all.
        published: Figures of the literature.
    """

    name: str
    kind: Kind = "table"
    values: Sequence[str]
    title: str
    per: str | None = None
    rows: str | None = None
    over: Sequence[str] = ()
    x: str | None = None
    log_base: int | None = None
    origin: float = 0.0
    baseline: str | None = None
    blocks: Sequence[str] = ()
    published: Published | None = None

    def known(self, row: str, column: str, value: str) -> float | None:
        """Returns the figure that was published for a cell, or None."""
        return self.published and self.published.figure(row, column, value)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The report section.

    Attributes:
        colors: Block -> matplotlib colour; others take the next of the default cycle.
        outputs: Tables and figures.
    """

    colors: Mapping[str, str] = field(default_factory=dict)
    outputs: Sequence[Output] = ()


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A grid file.

    Attributes:
        experiment: Folder of its runs; grids that share runs share it, and the names of the blocks.
        blocks: The runs, as a union of products.
        report: What to make of them.
    """

    experiment: str
    blocks: Sequence[Block]
    report: Layout = Layout()


_T = TypeVar("_T", Block, Published, Output, Layout, Grid)


def read_grid(path: str | Path) -> Grid:
    """Reads and checks a grid file.

    Raises:
        ValueError: It is no YAML, or a key is unknown, missing or of another kind than expected.
        FileNotFoundError: There is no such file; names the nearest.
    """
    file = config_path(path)
    check_file(file)
    content = dict(yaml.safe_load(file.read_text(encoding="utf-8")))
    blocks = _expect(content.get("blocks") or [], list, f"{path}: blocks")
    content["blocks"] = [_block(block, f"{path}: block {index}") for index, block in enumerate(blocks, 1)]
    content["report"] = _layout(content.get("report") or {}, f"{path}: report")
    grid = _build(Grid, content, str(path))
    _expect(grid.experiment, str, f"{path}: experiment")
    if not blocks:
        raise ValueError(f"{path}: no blocks, so no runs")
    _check_names([block.name for block in grid.blocks], f"{path}: blocks")
    if unknown := set(grid.report.colors) - {block.name for block in grid.blocks}:
        raise ValueError(f"{path}: report.colors: no block is named {sorted(unknown)[0]!r}")
    for output in grid.report.outputs:
        if output.x is not None and all(output.x not in _keys(block) for block in grid.blocks):
            raise ValueError(f"{path}: report output {output.name!r}: no block has the axis x: {output.x}")
        _check_blocks(output, [block.name for block in grid.blocks], f"{path}: report output {output.name!r}")
    return grid


def _check_blocks(output: Output, names: Sequence[str], where: str) -> None:
    """Raises a ValueError where an output names a block that it has not."""
    for name in output.blocks:
        if name not in names:
            raise ValueError(f"{where}: no block is named {name!r}; blocks: {', '.join(names)}")
    shown = output.blocks or names
    if output.baseline not in (None, *shown):
        raise ValueError(f"{where}: no block is the baseline {output.baseline!r}")
    if output.published is not None and output.rows is None and output.x is None:
        for name in output.published.rows:
            if name not in shown:
                raise ValueError(
                    f"{where}: published: no block is named {name!r}; blocks: {', '.join(shown)}"
                )


def _keys(block: Block) -> list[str]:
    return [key for axis in block.axes for key in axis.split(",")]


def _block(content: Any, where: str) -> Block:
    content = dict(_expect(content, dict, where))
    where += f" ({content['name']})" if content.get("name") else ""
    block = _build(Block, content, where)
    for key, kind in (("name", str), ("config", list), ("set", dict), ("axes", dict)):
        _expect(getattr(block, key), kind, f"{where}: {key}")
    for key in [*block.config, *block.set, *block.axes]:
        _expect(key, str, where)
    if not block.config:
        raise ValueError(f"{where}: config: expected at least one configuration file")
    for config in block.config:
        try:
            config_path(config)
        except FileNotFoundError as error:
            raise ValueError(f"{where}: {error}; paths are as for fit, from where it is started") from None
    keys = [*block.set, *_keys(block)]
    for key in keys:
        if key.startswith("run."):
            raise ValueError(f"{where}: {key}: the grid itself names its runs")
    _check_names(keys, f"{where}: keys")
    for axis, values in block.axes.items():
        _check_axis(axis, values, f"{where}: axis {axis}")
    return block


def _check_axis(axis: str, values: Any, where: str) -> None:
    if not _expect(values, list, where):
        raise ValueError(f"{where}: no values, so no runs")
    count = len(axis.split(","))
    for value in values:
        try:
            json.dumps(value)
        except TypeError as error:  # such as an unquoted date
            raise ValueError(f"{where}: {value}: {error}; put it in quotes") from None
        if count > 1 and (not isinstance(value, list) or len(value) != count):
            raise ValueError(f"{where}: {value!r}: expected a list of {count} values, one a key")


def _layout(content: Any, where: str) -> Layout:
    content = dict(_expect(content, dict, where))
    outputs = _expect(content.get("outputs") or [], list, f"{where}.outputs")
    content["outputs"] = [_output(each, f"{where}: output {index}") for index, each in enumerate(outputs, 1)]
    layout = _build(Layout, content, where)
    _expect(layout.colors, dict, f"{where}.colors")
    _check_names([output.name for output in layout.outputs], f"{where}: outputs")
    return layout


def _output(content: Any, where: str) -> Output:
    content = dict(_expect(content, dict, where))
    if content.get("published") is not None:
        content["published"] = _published(content["published"], f"{where}: published")
    for key in ("values", "over", "blocks"):
        _expect(content.get(key, []), list, f"{where}: {key}")
    output = _build(Output, content, where)
    if output.kind not in get_args(Kind):
        raise ValueError(f"{where}: kind {output.kind!r}: expected one of {', '.join(get_args(Kind))}")
    if output.baseline is not None and (output.kind == "curve" or output.rows is not None):
        raise ValueError(f"{where}: baseline goes with blocks as rows: drop rows or kind: curve")
    if (output.kind == "curve") != (output.x is not None):
        raise ValueError(f"{where}: kind: curve needs the axis x, and no other kind has one")
    if output.rows is not None and (output.per is not None or output.kind not in ("table", "lines")):
        raise ValueError(f"{where}: rows goes with kind table or lines, and without per")
    if (output.per is None) != (not output.over):
        raise ValueError(f"{where}: per and over come together: both are columns of tables/test.csv")
    return output


def _published(content: Any, where: str) -> Published:
    published = _build(Published, _expect(content, dict, where), where)
    for row, columns in _expect(published.rows, dict, f"{where}: rows").items():
        for column, found in _expect(columns, dict, f"{where}: {row}").items():
            for figure in found.values() if isinstance(found, dict) else [found]:
                if not isinstance(figure, int | float):
                    raise ValueError(f"{where}: {row}, {column}: {figure!r}: expected a number")
    return published


def _build(kind: type[_T], content: Mapping[str, Any], where: str) -> _T:
    """Makes a dataclass of a mapping; its fields are the valid keys."""
    known = {each.name: each for each in fields(kind)}
    for key in content:
        if key not in known:
            raise ValueError(f"{where}: unknown key {key}; valid keys: {', '.join(known)}")
    for name, each in known.items():
        if name not in content and each.default is MISSING and each.default_factory is MISSING:
            raise ValueError(f"{where}: {name} is missing")
    return kind(**content)


_KINDS = {dict: "a mapping", list: "a list", str: "text, in quotes where it looks like a number"}


def _expect(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{where}: {value!r}: expected {_KINDS[kind]}")
    return value


def _check_names(names: Sequence[str], where: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{where}: {name!r} comes twice")
