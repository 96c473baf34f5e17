"""Computes EER, t-DCF and detection costs from a score file and a protocol."""

import argparse
import csv
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from lightning_modules.metrics.asv_scores import read_asv_scores
from lightning_modules.metrics.asvspoof_evaluation import Result, ScoreArrays, evaluate, pooled_intervals
from lightning_modules.metrics.asvspoof_protocols import SUBSETS, read_protocol
from lightning_modules.metrics.breakdown import Groups
from lightning_modules.metrics.cm_scores import read_scores
from lightning_modules.metrics.functional import looks_inverted

EXAMPLE = """example:
  python -m lightning_modules.score --scores runs/demo/scores/test.txt \\
      --protocol ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt \\
      --asv-scores ASVspoof2019_LA_asv_scores/ASVspoof2019.LA.asv.eval.gi.trl.scores.txt

Each attack or codec is scored with the ASV error rates of its own trials where the ASV scores name them.
Exit codes: 0 scored, 1 a file is wrong (the message says where), 2 wrong use."""

MIN_WIDTH = 114  # a wrapped line reads better than a cut number
METRICS = [each.name for each in fields(Result) if each.name != "condition"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.bootstrap < 0:
        parser.error(f"--bootstrap {options.bootstrap}: expected 0 (none) or a number of draws")
    try:
        score(options, Console(width=max(Console().width, MIN_WIDTH)))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m lightning_modules.score",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--scores",
        required=True,
        metavar="FILE",
        help="'UTT SCORE', 'UTT SYSTEM KEY SCORE' or a .tsv with header",
    )
    add(
        "--protocol",
        required=True,
        metavar="FILE",
        help="ASVspoof 2019, 2021 (trial_metadata.txt) or 5 protocol",
    )
    add("--asv-scores", metavar="PATH", help="2019 ASV score file or 2021 folder ASV; without it no t-DCF")
    add("--tdcf", type=int, choices=(2019, 2021), help="t-DCF revision (default: the protocol's)")
    add("--subset", choices=SUBSETS, help="of a 2021 protocol (default: eval)")
    add("--bootstrap", type=int, default=0, metavar="N", help="draws for 95 %% intervals (default: none)")
    add("--json", type=Path, metavar="FILE", help="write all results, rates as fractions")
    add("--csv", type=Path, metavar="FILE", help="the same as a table, one line a condition")
    return parser


def score(options: argparse.Namespace, console: Console) -> None:
    """Reads the files, evaluates, prints and writes."""
    protocol = read_protocol(options.protocol, subset=options.subset)
    layout = protocol.layout
    columns = {name: column[protocol.chosen] for name, column in protocol.columns.items()}
    groups = Groups(columns, protocol.is_bonafide[protocol.chosen])
    trials = ScoreArrays(read_scores(options.scores, protocol), groups)
    asv = read_asv_scores(options.asv_scores, subset=options.subset) if options.asv_scores else None
    revision = options.tdcf or layout.revision
    results = evaluate(trials, asv=asv, revision=revision, rows=layout.rows, across=layout.across)
    draws = options.bootstrap
    intervals = pooled_intervals(trials, asv=asv, revision=revision, draws=draws) if draws else {}

    title = f"{layout.edition}, {options.scores}" + (f", t-DCF {revision}" if asv else "")
    console.print(title, soft_wrap=True, highlight=False)
    marginal = [each for each in results if len(each.condition) < 2]
    console.print(result_table(marginal))
    for name, (low, high) in intervals.items():
        scale, unit = (100, " %") if name == "eer" else (1, "")
        console.print(f"{name}: 95 % interval {low * scale:.4f} to {high * scale:.4f}{unit} ({draws} draws)")
    if looks_inverted(trials.scores, groups.is_bonafide):
        console.print(
            "warning: the scores look inverted: negated they separate the classes better. "
            "Higher must mean bona fide.",
            style="bold red",
        )
    if options.json:
        write_json(options.json, results, intervals)
    if options.csv:
        write_csv(options.csv, results)


def result_table(results: Sequence[Result]) -> Table:
    """Lays results out for the terminal, EER in percent."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("condition", overflow="fold")
    for heading in ("bona fide", "spoof", "EER %", "min t-DCF", "minDCF", "actDCF", "Cllr bit"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in results:
        name = " ".join(f"{factor} {value}" for factor, value in each.condition.items()) or "pooled"
        costs = (each.min_tdcf, each.min_dcf, each.act_dcf, each.cllr)
        cells = [f"{each.eer * 100:.4f}", *(f"{cost:.4f}" for cost in costs)]
        shown = ["-" if cell == "nan" else cell for cell in cells]
        table.add_row(name, str(each.num_bonafide), str(each.num_spoof), *shown, end_section=name == "pooled")
    return table


def write_json(path: Path, results: Sequence[Result], intervals: dict[str, tuple[float, float]]) -> None:
    """Writes all conditions and the intervals; undefined numbers are null."""
    rows = [
        {name: None if value != value else value for name, value in asdict(each).items()} for each in results
    ]
    path.write_text(
        json.dumps({"results": rows, "intervals_95": intervals}, indent=1) + "\n", encoding="utf-8"
    )


def write_csv(path: Path, results: Sequence[Result]) -> None:
    """Writes one line a condition; an empty factor is pooled, an empty number undefined."""
    factors = list(dict.fromkeys(name for each in results for name in each.condition))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*factors, *METRICS])
        writer.writeheader()
        for each in results:
            numbers = {name: getattr(each, name) for name in METRICS}
            defined = {name: number for name, number in numbers.items() if not math.isnan(number)}
            writer.writerow(each.condition | defined)


if __name__ == "__main__":
    sys.exit(main())
