"""Calibrates scores of spoofing detectors to log likelihood ratios, and fuses those of several detectors.

Logistic regression on development trials gives a scale for each score file and an offset; they are applied to the
evaluation scores. Only log likelihood ratios have an actual cost (actDCF) and a Cllr worth reading.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from datamodules.config.arguments import CommandParser
from lightning_modules.metrics.asvspoof_protocols import SUBSETS, Protocol, read_protocol
from lightning_modules.metrics.cm_scores import read_scores
from lightning_modules.metrics.functional import (
    Calibration,
    act_dcf,
    cllr,
    equal_error_rate,
    fit_calibration,
    min_cllr,
    min_dcf,
)

EXAMPLE = """examples:
  python -m lightning_modules.calibrate --scores dev.txt --protocol ASVspoof2019.LA.cm.dev.trl.txt \\
      --evaluation eval.txt --evaluation-protocol ASVspoof2019.LA.cm.eval.trl.txt --output calibrated.txt
  python -m lightning_modules.calibrate --scores aasist_dev.txt lcnn_dev.txt --protocol dev.trl.txt \\
      --evaluation aasist_eval.txt lcnn_eval.txt --evaluation-protocol eval.trl.txt --output fused.txt

Exit codes: 0 calibrated, 1 a file is wrong (the message says where), 2 wrong use."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    check_use(parser, options)
    try:
        calibrate(options, Console(width=max(Console().width, 80)))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def build_parser() -> CommandParser:
    """Options of the command."""
    parser = CommandParser("lightning_modules.calibrate", description=__doc__, epilog=EXAMPLE)
    add = parser.add_argument
    add(
        "--scores",
        required=True,
        nargs="+",
        type=Path,
        metavar="FILE",
        help="of development trials, one a detector",
    )
    add("--protocol", required=True, type=Path, metavar="FILE", help="of the development trials")
    add(
        "--evaluation",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="scores to calibrate, the detectors in the same order",
    )
    add("--evaluation-protocol", type=Path, metavar="FILE", help="of 2019, 2021 (trial_metadata.txt) or 5")
    add("--subset", choices=SUBSETS, help="of 2021 evaluation trials (default: eval)")
    add("--output", type=Path, metavar="FILE", help="write the calibrated scores, lines 'UTT SCORE'")
    add("--json", type=Path, metavar="FILE", help="write scale, offset and prior")
    add(
        "--prior",
        type=float,
        default=0.5,
        help="of bona fide, where the fit is to be best (default: %(default)s; ASVspoof 5's costs: 0.655)",
    )
    return parser


def check_use(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Ends the command with exit code 2 where its options contradict each other."""
    together = {
        "evaluation": options.evaluation,
        "evaluation-protocol": options.evaluation_protocol,
        "output": options.output,
    }
    given = [name for name, value in together.items() if value]
    if given and len(given) < len(together):
        parser.error(f"--{given[0]} needs --{next(name for name in together if name not in given)}")
    if given and len(options.evaluation) != len(options.scores):
        parser.error(
            f"--evaluation: {len(options.evaluation)} files, but --scores has {len(options.scores)}: "
            "name one a detector, in the same order"
        )
    if not given and (options.subset or options.json is None):
        parser.error(
            "--subset needs --evaluation" if options.subset else "nothing to write: give --output or --json"
        )
    if not 0 < options.prior < 1:
        parser.error(f"--prior {options.prior}: expected a probability between 0 and 1")


def calibrate(options: argparse.Namespace, console: Console) -> None:
    """Fits on the development trials, applies to those of the evaluation, prints and writes."""
    development = read_protocol(options.protocol)
    scores = _read(options.scores, development)
    calibration = fit_calibration(scores, _labels(development), prior=options.prior)
    terms = [f"{scale:+.6g} {path}" for scale, path in zip(calibration.scale, options.scores, strict=True)]
    console.print(
        "log likelihood ratio:", *terms, f"{calibration.offset:+.6g}", soft_wrap=True, highlight=False
    )
    for scale, path in zip(calibration.scale, options.scores, strict=True):
        if scale < 0 and len(calibration.scale) == 1:
            console.print(f"warning: {path} looks inverted: higher must mean bona fide", style="bold red")
    table = _empty_table()
    _add_rows(table, "development", scores, calibration, _labels(development))
    if options.evaluation:
        evaluation = read_protocol(options.evaluation_protocol, subset=options.subset)
        scores = _read(options.evaluation, evaluation)
        _add_rows(table, "evaluation", scores, calibration, _labels(evaluation))
        keys = np.array(evaluation.keys)[evaluation.chosen]
        lines = [f"{key} {score:.9g}\n" for key, score in zip(keys, calibration(scores), strict=True)]
        options.output.write_text("".join(lines), encoding="utf-8")
    console.print(table)
    if options.json:
        content = {"scale": calibration.scale, "offset": calibration.offset, "prior": options.prior}
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _read(paths: Sequence[Path], protocol: Protocol) -> NDArray[np.float64]:
    """Scores of the chosen trials, (trials, systems)."""
    return np.column_stack([read_scores(path, protocol) for path in paths])


def _labels(protocol: Protocol) -> NDArray[np.bool_]:
    return protocol.is_bonafide[protocol.chosen]


def _empty_table() -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("trials")
    table.add_column("scores")
    for heading in ("EER %", "minDCF", "actDCF", "min Cllr", "Cllr bit"):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _add_rows(
    table: Table,
    name: str,
    scores: NDArray[np.float64],
    calibration: Calibration,
    is_bonafide: NDArray[np.bool_],
) -> None:
    """Adds a line for each system and one for their calibrated sum."""
    several = scores.shape[1] > 1
    rows = {f"raw {index}" if several else "raw": system for index, system in enumerate(scores.T, 1)}
    for what, values in (rows | {"fused" if several else "calibrated": calibration(scores)}).items():
        figures = [float(metric(values, is_bonafide)) for metric in (min_dcf, act_dcf, min_cllr, cllr)]
        eer = float(equal_error_rate(values, is_bonafide)[0])
        table.add_row(name, what, f"{eer * 100:.4f}", *(f"{figure:.4f}" for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
