"""Scoring of a spoofing detector's score file against an ASVspoof protocol."""

import argparse
import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from lightning_modules.metrics.asv_scores import read_asv_scores
from lightning_modules.metrics.asvspoof_evaluation import Result, ScoreArrays, evaluate, pooled_intervals
from lightning_modules.metrics.asvspoof_protocols import read_protocol
from lightning_modules.metrics.breakdown import Groups
from lightning_modules.metrics.cm_scores import read_scores
from lightning_modules.metrics.functional import looks_inverted
from lightning_modules.metrics.sasv_evaluation import SasvResult


def score_asvspoof(options: argparse.Namespace, console: Console) -> None:
    """Reads the files, evaluates, prints and writes."""
    protocol = read_protocol(options.protocol, subset=options.subset)
    layout = protocol.layout
    columns = {name: column[protocol.chosen] for name, column in protocol.columns.items()}
    groups = Groups(columns, protocol.is_bonafide[protocol.chosen])
    trials = ScoreArrays(read_scores(options.scores, protocol), groups)
    asv = read_asv_scores(options.asv_scores, subset=options.subset) if options.asv_scores else None
    revision = options.tdcf or layout.revision
    rule = options.eer or "asvspoof"
    results = evaluate(
        trials, asv=asv, revision=revision, eer_rule=rule, rows=layout.rows, across=layout.across
    )
    draws, intervals = options.bootstrap, {}
    if draws:
        intervals = pooled_intervals(trials, asv=asv, revision=revision, eer_rule=rule, draws=draws)

    title = f"{layout.edition}, {options.scores}" + (f", t-DCF {revision}" if asv else "")
    title += f", EER {rule}" if options.eer else ""
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


def write_json(
    path: Path, results: Sequence[Result | SasvResult], intervals: dict[str, tuple[float, float]]
) -> None:
    """Writes all conditions and the intervals; undefined numbers are null."""
    rows = [
        {name: None if value != value else value for name, value in asdict(each).items()} for each in results
    ]
    limits = {name: None if math.isnan(sum(both)) else both for name, both in intervals.items()}
    path.write_text(json.dumps({"results": rows, "intervals_95": limits}, indent=1) + "\n", encoding="utf-8")


def write_csv(path: Path, results: Sequence[Result | SasvResult]) -> None:
    """Writes one line a condition; an empty factor is pooled, an empty number undefined."""
    metrics = [each.name for each in fields(results[0]) if each.name != "condition"]
    factors = list(dict.fromkeys(name for each in results for name in each.condition))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*factors, *metrics])
        writer.writeheader()
        for each in results:
            numbers = asdict(each)
            defined = {name: numbers[name] for name in metrics if not math.isnan(numbers[name])}
            writer.writerow(each.condition | defined)
