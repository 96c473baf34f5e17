"""Differences of a grid's blocks to one of them: on the clips that both were tested on, or seed by seed."""

import re
import statistics
from collections import defaultdict
from pathlib import Path

from lightning_modules.grids.estimates import AVERAGE, Table
from lightning_modules.grids.finished import Gathered
from lightning_modules.metrics.class_ranks import read_ranks
from lightning_modules.metrics.functional.paired import compare_paired
from lightning_modules.metrics.functional.paired_values import compare_values

_ACCURACY = re.compile(r"(?:(?P<head>\w+)_)?top(?P<top>[1-9]\d*)")  # top1, verb_top5


def add_differences(table: Table, found: Gathered, baseline: str) -> None:
    """Compares every block of a table with the baseline.

    Accuracies of results.csv are compared by tables/test_clips.csv of the runs, any other figure by the seeds that
    both have, and an average over machines or the like by these, each averaged over the seeds. What cannot be
    compared, e.g. tested on other clips, is a line of `table.left_out`.
    """
    if (baseline, None) not in table.seeds:
        table.left_out.append(f"no run of the baseline {baseline} is finished, so no differences to it")
        return
    for column in table.columns:
        accuracy = _ACCURACY.fullmatch(column)
        if accuracy is not None:
            _compare_clips(table, found, baseline, column, accuracy)
        else:
            _compare_seeds(table, baseline, column)


def _compare_clips(
    table: Table, found: Gathered, baseline: str, column: str, accuracy: re.Match[str]
) -> None:
    folders: dict[str, list[Path]] = defaultdict(list)
    for cell, _ in found.rows:
        folders[cell.block.name].append(cell.run.folder)
    others = folders.pop(baseline)
    for block, runs in folders.items():
        try:
            correct = read_ranks([*runs, *others], head=accuracy["head"]) <= int(accuracy["top"])
        except ValueError as reason:
            table.left_out.append(f"{block}: no difference in {column} to {baseline}: {reason}")
            continue
        comparison = compare_paired(correct[: len(runs)], correct[len(runs) :])
        table.differences.setdefault((block, None), {})[column] = comparison


def _compare_seeds(table: Table, baseline: str, column: str) -> None:
    theirs = table.seeds[baseline, None]
    for series, ours in table.seeds.items():
        seeds = [seed for seed in ours.get(column, {}) if seed in theirs.get(column, {})]
        if series[0] == baseline or not seeds:
            continue
        if column == AVERAGE:
            items = [each for each in table.columns if each != AVERAGE]
            a, b = (
                [statistics.fmean(of[item][seed] for seed in seeds) for item in items]
                for of in (ours, theirs)
            )
        else:
            a, b = ([of[column][seed] for seed in seeds] for of in (ours, theirs))
        table.differences.setdefault(series, {})[column] = compare_values(a, b)
