"""Scoring of a spoofing detector's score file against an ASVspoof protocol."""

import argparse
import csv
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from lightning_modules.metrics.asv_scores import AsvScores, read_asv_scores
from lightning_modules.metrics.asvspoof_evaluation import Result, ScoreArrays, evaluate, pooled_intervals
from lightning_modules.metrics.asvspoof_protocols import Protocol, protocol_of, read_protocol
from lightning_modules.metrics.breakdown import Groups
from lightning_modules.metrics.cm_scores import scores_of
from lightning_modules.metrics.fixed_threshold import RatesAtThreshold, rates_at
from lightning_modules.metrics.functional import equal_error_rate, looks_inverted
from lightning_modules.metrics.sasv_evaluation import SasvResult
from lightning_modules.metrics.trial_files import read_trial_file

MAX_ROWS = 30  # of a factor in the terminal
Row = TypeVar("Row", Result, RatesAtThreshold)


class MissingKeyError(ValueError):
    """A score file without labels was given without a key."""


def score_asvspoof(options: argparse.Namespace, console: Console) -> None:
    """Reads the files, evaluates, prints and writes.

    Raises:
        MissingKeyError: The scores have no labels, and no key is given.
        ValueError: A file is wrong, or scores, key and ASV scores do not belong together.
    """
    protocol, scores = _read(options.scores, options.protocol, options)
    layout = protocol.layout
    columns = {name: column[protocol.chosen] for name, column in protocol.columns.items()}
    groups = Groups(columns, protocol.is_bonafide[protocol.chosen])
    trials = ScoreArrays(scores, groups)
    factors: dict[str, Any] = {"rows": layout.rows, "across": layout.across}
    threshold, origin = _threshold(options)
    rates = [] if threshold is None else rates_at(trials, threshold, **factors)
    has_both = bool(groups.is_bonafide.any()) and not groups.is_bonafide.all()
    if not has_both and threshold is None:
        _refuse_one_class(protocol, groups)
    asv = _read_asv(options, protocol) if has_both else None
    revision, draws = options.tdcf or layout.revision, options.bootstrap if has_both else 0
    how: dict[str, Any] = {"asv": asv, "revision": revision, "eer_rule": options.eer or "asvspoof"}
    results = evaluate(trials, **how, **factors) if has_both else []
    intervals = pooled_intervals(trials, **how, draws=draws) if draws else {}

    title = f"{layout.edition}, {options.scores}" + (f", t-DCF {revision}" if asv else "")
    title += f", EER {options.eer}" if options.eer else ""
    console.print(title, soft_wrap=True, highlight=False)
    if results:
        console.print(result_table(_shown(results, console)))
    for name, (low, high) in intervals.items():
        scale, unit = (100, " %") if name == "eer" else (1, "")
        console.print(f"{name}: 95 % interval {low * scale:.4f} to {high * scale:.4f}{unit} ({draws} draws)")
    if rates:
        console.print(f"at the threshold {threshold:.9g}{origin}:", soft_wrap=True, highlight=False)
        console.print(rates_table(_shown(rates, console)))
    if has_both and looks_inverted(trials.scores, groups.is_bonafide):
        console.print(
            "warning: the scores look inverted: negated they separate the classes better. "
            "Higher must mean bona fide.",
            style="bold red",
        )
    if options.json:
        write_json(options.json, results, intervals, threshold, rates)
    if options.csv:
        write_csv(options.csv, results, rates)


def _read(
    scores: str | Path, key: str | Path | None, options: argparse.Namespace
) -> tuple[Protocol, NDArray[np.float64]]:
    """The trials of a score file, by a key or the labels that the file carries, and their scores."""
    file = read_trial_file(scores, bonafide=options.bonafide)
    if key is not None:
        protocol = read_protocol(key, subset=options.subset, bonafide=options.bonafide)
    elif file.labels is None:
        raise MissingKeyError(f"{scores} carries no labels: such a score file needs --protocol")
    else:
        protocol = protocol_of(file, subset=options.subset)
    return protocol, scores_of(file, protocol)


def _threshold(options: argparse.Namespace) -> tuple[float | None, str]:
    """The threshold that other trials gave, and whose it is."""
    if options.threshold_from is None:
        return options.threshold, ""
    scores, key = options.threshold_from, None
    if not Path(scores).exists() and ":" in scores:
        scores, key = scores.rsplit(":", 1)
    protocol, values = _read(scores, key, options)
    labels = protocol.is_bonafide[protocol.chosen]
    _, threshold = equal_error_rate(values, labels, rule=options.eer or "asvspoof")
    return float(threshold), f" of the EER of {scores}"


def _refuse_one_class(protocol: Protocol, groups: Groups) -> NoReturn:
    number, missing = len(groups.is_bonafide), "spoofed" if groups.is_bonafide.any() else "bona fide"
    raise ValueError(
        f"{protocol.path}: none of the {number} trials is {missing}, so that there is no EER: give the threshold of "
        "another set by --threshold T or --threshold-from SCORES[:KEY]"
    )


def _read_asv(options: argparse.Namespace, protocol: Protocol) -> AsvScores | None:
    if not options.asv_scores:
        return None
    asv = read_asv_scores(options.asv_scores, subset=options.subset)
    asv.check_belongs(protocol)
    return asv


def _shown(results: Sequence[Row], console: Console) -> list[Row]:
    """Pooled and single factors; one of very many values is left to the CSV file, which a line tells."""
    marginal = [each for each in results if len(each.condition) < 2]
    values = Counter(name for each in marginal for name in each.condition)
    for name, count in values.items():
        if count > MAX_ROWS:
            console.print(f"{name}: {count} values, see --csv", highlight=False)
    return [each for each in marginal if all(values[name] <= MAX_ROWS for name in each.condition)]


def result_table(results: Sequence[Result]) -> Table:
    """Lays results out for the terminal, EER in percent."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("condition", overflow="fold")
    for heading in ("bona fide", "spoof", "EER %", "min t-DCF", "minDCF", "actDCF", "Cllr bit"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in results:
        name = _name(each.condition)
        costs = (each.min_tdcf, each.min_dcf, each.act_dcf, each.cllr)
        cells = [f"{each.eer * 100:.4f}", *(f"{cost:.4f}" for cost in costs)]
        shown = ["-" if cell == "nan" else cell for cell in cells]
        table.add_row(name, str(each.num_bonafide), str(each.num_spoof), *shown, end_section=name == "pooled")
    return table


def rates_table(rates: Sequence[RatesAtThreshold]) -> Table:
    """Lays error rates at a threshold out for the terminal, in percent."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("condition", overflow="fold")
    for heading in ("bona fide", "spoof", "miss %", "1-SRR %"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in rates:
        name = _name(each.condition)
        cells = [f"{rate * 100:.4f}" for rate in (each.miss, each.one_minus_srr)]
        shown = ["-" if cell == "nan" else cell for cell in cells]
        table.add_row(name, str(each.num_bonafide), str(each.num_spoof), *shown, end_section=name == "pooled")
    return table


def _name(condition: dict[str, str]) -> str:
    return " ".join(f"{factor} {value}" for factor, value in condition.items()) or "pooled"


def write_json(
    path: Path,
    results: Sequence[Result | SasvResult],
    intervals: dict[str, tuple[float, float]],
    threshold: float | None = None,
    rates: Sequence[RatesAtThreshold] = (),
) -> None:
    """Writes all conditions and the intervals; undefined numbers are null."""
    limits = {name: None if math.isnan(sum(both)) else both for name, both in intervals.items()}
    content = {"results": [_defined(each) for each in results], "intervals_95": limits}
    if threshold is not None:
        content["at_threshold"] = {"threshold": threshold, "results": [_defined(each) for each in rates]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _defined(result: Result | SasvResult | RatesAtThreshold) -> dict[str, Any]:
    return {name: None if value != value else value for name, value in asdict(result).items()}


def write_csv(
    path: Path, results: Sequence[Result | SasvResult], rates: Sequence[RatesAtThreshold] = ()
) -> None:
    """Writes one line a condition; an empty factor is pooled, an empty number undefined."""
    rows: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for each in (*results, *rates):
        numbers = _defined(each)
        rows.setdefault(tuple(numbers.pop("condition").items()), {}).update(numbers)
    factors = list(dict.fromkeys(name for condition in rows for name, _ in condition))
    metrics = list(dict.fromkeys(name for numbers in rows.values() for name in numbers))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*factors, *metrics])
        writer.writeheader()
        writer.writerows(dict(condition) | numbers for condition, numbers in rows.items())
