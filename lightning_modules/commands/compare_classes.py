"""Comparison of two classifiers by which clips their runs classify correctly."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lightning_modules.metrics.class_ranks import read_ranks
from lightning_modules.metrics.functional.paired import PairedComparison, compare_paired


def compare_classes(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Compares the runs in folders `a` with those in `b`; returns what to print, and the result.

    Raises:
        ValueError: As in `read_ranks`.
    """
    folders = [Path(folder) for folder in (*options.a, *options.b)]
    correct = read_ranks(folders, split=options.split, head=options.head) <= options.top
    result = compare_paired(correct[: len(options.a)], correct[len(options.a) :])
    return _text(result, options), {"head": options.head, "top": options.top} | asdict(result)


def name_of(runs: Sequence[str]) -> str:
    """The first of several runs, and how many others there are."""
    return f"{runs[0]} and {len(runs) - 1} more" if len(runs) > 1 else str(runs[0])


def _text(result: PairedComparison, options: argparse.Namespace) -> str:
    head = f"{options.head}, " if options.head else ""
    lines = [f"{options.split}, {head}top {options.top}, {result.num_clips} clips"]
    for name, accuracy, runs in zip("ab", result.accuracy, (options.a, options.b), strict=True):
        lines.append(f"  {name}      {accuracy * 100:6.2f} %   {name_of(runs)}")
    by_seeds = "unknown" if math.isnan(result.se_seeds) else f"{result.se_seeds * 100:.2f}"
    lines.append(
        f"  a - b  {result.difference * 100:+6.2f} %   standard error {result.se_clips * 100:.2f} by clips, "
        f"{by_seeds} by seeds"
    )
    test = "McNemar" if result.num_runs == (1, 1) else "sign flips"
    lines.append(f"  p = {result.p_clips:.3g} for these networks on other clips (exact, {test})")
    if math.isnan(result.p):
        lines.append("  p for other clips and seeds: unknown, needs at least two runs of each")
    else:
        lines.append(f"  p = {result.p:.3g} for other clips and seeds (Welch)")
    return "\n".join(lines)
