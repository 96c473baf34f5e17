"""Differences of a grid's blocks to one of them, on the clips that both were tested on."""

import re
from collections import defaultdict
from pathlib import Path

from lightning_modules.grids.estimates import Table
from lightning_modules.grids.finished import Gathered
from lightning_modules.grids.grid_file import Output
from lightning_modules.metrics.clip_table import read_ranks
from lightning_modules.metrics.functional.paired import compare_paired

_ACCURACY = re.compile(r"(?:(?P<head>\w+)_)?top(?P<top>[1-9]\d*)")  # top1, verb_top5


def add_differences(table: Table, found: Gathered, output: Output) -> None:
    """Compares every block of a table with `output.baseline` by tables/test_clips.csv of their finished runs.

    A block that cannot be compared, e.g. tested on other clips, is a line of `table.left_out`.

    Raises:
        ValueError: A value is no accuracy, ``top<k>`` or ``<head>_top<k>``.
    """
    folders: dict[str, list[Path]] = defaultdict(list)
    for cell, _ in found.rows:
        folders[cell.block.name].append(cell.run.folder)
    baseline = folders.pop(str(output.baseline), None)
    if baseline is None:
        table.left_out.append(
            f"no run of the baseline {output.baseline} is finished, so no differences to it"
        )
        return
    for value in output.values:
        accuracy = _ACCURACY.fullmatch(value)
        if accuracy is None:
            raise ValueError(
                f"output {output.name!r}: {value} has no paired test: with a baseline, values are accuracies, "
                "named top1, top5 or verb_top1"
            )
        for block, runs in folders.items():
            try:
                correct = read_ranks([*runs, *baseline], head=accuracy["head"]) <= int(accuracy["top"])
            except ValueError as reason:
                table.left_out.append(f"{block}: no difference in {value} to {output.baseline}: {reason}")
                continue
            comparison = compare_paired(correct[: len(runs)], correct[len(runs) :])
            table.differences.setdefault((block, None), {})[value] = comparison
