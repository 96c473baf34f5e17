"""Compares two methods on the same clips: difference of accuracy, its standard errors and p-values.

A method is one run or several with different seeds, whose tables/<split>_clips.csv are read. Clips and seeds are two
reasons for a difference to be chance: with one run each only the clips can be judged.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from datamodules.config.arguments import CommandParser, at_least_one
from lightning_modules.metrics.class_ranks import read_ranks
from lightning_modules.metrics.functional.paired import PairedComparison, compare_paired

EXAMPLE = """examples:
  python -m lightning_modules.compare --a runs/event/datar --b runs/event/ast
  python -m lightning_modules.compare --a runs/epic/datar-seed_* --b runs/epic/ast-seed_* --head verb --top 5

Exit codes: 0 compared, 1 a table is missing or of other clips (the message says which), 2 wrong use."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = build_parser().parse_args(arguments)
    try:
        result = compare(options.a, options.b, split=options.split, head=options.head, top=options.top)
        if options.json is not None:
            options.json.write_text(_json(result, options), encoding="utf-8")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(_text(result, options))
    return 0


def build_parser() -> CommandParser:
    """Options of the command."""
    parser = CommandParser("lightning_modules.compare", description=__doc__, epilog=EXAMPLE)
    add = parser.add_argument
    for name in ("a", "b"):
        add(
            f"--{name}",
            required=True,
            nargs="+",
            metavar="RUN",
            help=f"run folders of method {name}, one a seed",
        )
    add("--split", default="test", help="which was scored (default: %(default)s)")
    add("--head", help="whose classes, e.g. verb, noun or action (default: the only one)")
    add(
        "--top",
        type=at_least_one,
        default=1,
        metavar="K",
        help="right is among the best K (default: %(default)s)",
    )
    add("--json", type=Path, metavar="FILE", help="write the result, rates as fractions")
    return parser


def compare(
    a: Sequence[str | Path], b: Sequence[str | Path], *, split: str, head: str | None, top: int
) -> PairedComparison:
    """Compares the runs in folders `a` with those in `b`.

    Raises:
        ValueError: A folder comes twice, or as in `read_ranks`.
    """
    folders = [Path(folder) for folder in (*a, *b)]
    if twice := [folder for folder in folders if folders.count(folder) > 1]:
        raise ValueError(f"{twice[0]} comes twice: a run is of one method and counts once")
    correct = read_ranks(folders, split=split, head=head) <= top
    return compare_paired(correct[: len(a)], correct[len(a) :])


def _text(result: PairedComparison, options: argparse.Namespace) -> str:
    head = f"{options.head}, " if options.head else ""
    lines = [f"{options.split}, {head}top {options.top}, {result.num_clips} clips"]
    for name, accuracy, runs in zip("ab", result.accuracy, (options.a, options.b), strict=True):
        more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
        lines.append(f"  {name}      {accuracy * 100:6.2f} %   {runs[0]}{more}")
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


def _json(result: PairedComparison, options: argparse.Namespace) -> str:
    """All that is known; undefined numbers are null."""
    found = {name: None if value != value else value for name, value in asdict(result).items()}
    asked = {"a": options.a, "b": options.b, "split": options.split, "head": options.head, "top": options.top}
    return json.dumps(asked | found, indent=1) + "\n"


if __name__ == "__main__":
    sys.exit(main())
