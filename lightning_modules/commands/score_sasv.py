"""Scoring of spoofing-robust speaker verification against a key of ASVspoof 5, track 2."""

import argparse
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from lightning_modules.commands.score_asvspoof import write_csv, write_json
from lightning_modules.metrics.functional import TrialKind, looks_inverted
from lightning_modules.metrics.sasv_evaluation import SasvResult, evaluate_sasv
from lightning_modules.metrics.sasv_files import SCORES, read_sasv_key, read_sasv_scores

_NEEDS = {
    "min a-DCF": {"sasv-score"},
    "t-EER": {"asv-score", "cm-score"},
    "min t-DCF": {"cm-score"},
}


def score_sasv(options: argparse.Namespace, console: Console) -> None:
    """Reads the files, evaluates, prints and writes."""
    key = read_sasv_key(options.protocol)
    scores = read_sasv_scores(options.scores, key)
    asv = None
    if options.asv_scores:
        columns = read_sasv_scores(options.asv_scores, key)
        if "asv-score" not in columns:
            raise ValueError(
                f"{options.asv_scores}: has no column asv-score, from which t-DCF takes error rates"
            )
        asv = columns["asv-score"]
    results = evaluate_sasv(scores, key, asv_scores=asv)

    console.print(f"{key.protocol.layout.edition}, {options.scores}", soft_wrap=True, highlight=False)
    console.print(result_table([each for each in results if len(each.condition) < 2]))
    for metric, needed in _NEEDS.items():
        if lacking := [name for name in SCORES if name in needed - scores.keys()]:
            console.print(f"no {metric}: the scores have no {' and no '.join(lacking)}", highlight=False)
    if "cm-score" in scores and asv is None:
        console.print(
            "min t-DCF takes the error rates of the organisers' verification on the evaluation trials, as the "
            "official package does; for other trials give --asv-scores",
            highlight=False,
        )
    kinds = key.chosen_kinds
    for name, found in scores.items():
        if looks_inverted(
            found, kinds != TrialKind.SPOOF if name == "cm-score" else kinds == TrialKind.TARGET
        ):
            console.print(
                f"warning: {name} looks inverted: negated it separates the trials better. Higher must mean "
                f"{'bona fide' if name == 'cm-score' else 'accept'}.",
                style="bold red",
            )
    if options.json:
        write_json(options.json, results, {})
    if options.csv:
        write_csv(options.csv, results)


def result_table(results: Sequence[SasvResult]) -> Table:
    """Lays results out for the terminal, t-EER in percent."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("condition", overflow="fold")
    for heading in ("target", "nontarget", "spoof", "min a-DCF", "t-EER %", "min t-DCF"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in results:
        name = " ".join(f"{factor} {value}" for factor, value in each.condition.items()) or "pooled"
        counts = map(str, (each.num_target, each.num_nontarget, each.num_spoof))
        numbers = (f"{each.min_a_dcf:.4f}", f"{each.t_eer * 100:.4f}", f"{each.min_tdcf:.4f}")
        shown = ("-" if number == "nan" else number for number in numbers)
        table.add_row(name, *counts, *shown, end_section=name == "pooled")
    return table
