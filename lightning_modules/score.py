"""Computes the field's figures from scores: spoofing detection, with both tracks of ASVspoof 5, or DCASE Task 2."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.console import Console

from datamodules.config.arguments import CommandParser
from lightning_modules.commands.score_asvspoof import MissingKeyError, score_asvspoof
from lightning_modules.commands.score_dcase import score_dcase
from lightning_modules.commands.score_sasv import score_sasv
from lightning_modules.metrics.asvspoof_protocols import SUBSETS
from lightning_modules.metrics.dcase_evaluation import YEARS
from lightning_modules.metrics.functional import EerRule
from lightning_modules.metrics.sasv_files import is_sasv_key

EXAMPLE = """examples:
  python -m lightning_modules.score --scores runs/demo/scores/test.txt \\
      --protocol ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt \\
      --asv-scores ASVspoof2019_LA_asv_scores/ASVspoof2019.LA.asv.eval.gi.trl.scores.txt
  python -m lightning_modules.score --scores scores_Wild.txt --protocol in_the_wild.csv
  python -m lightning_modules.score --scores mlaad.txt --protocol MLAAD_v5 --threshold-from wild.txt:in_the_wild.csv
  python -m lightning_modules.score --scores sasv_scores.tsv --protocol sasv_key.tsv   # track 2 of ASVspoof 5
  python -m lightning_modules.score --scores runs/demo/scores/test --ground-truth dcase2023_task2_evaluator

Each attack or codec is scored with the ASV error rates of its own trials where the ASV scores name them.
Exit codes: 0 scored, 1 a file is wrong (the message says where), 2 wrong use."""

MIN_WIDTH = 114  # a wrapped line reads better than a cut number
OPTIONS_OF_DETECTION = ("tdcf", "subset", "eer", "bonafide", "threshold", "threshold_from", "bootstrap")
OPTIONS_OF_FILE = ("protocol", "asv_scores", *OPTIONS_OF_DETECTION)
OPTIONS_OF_FOLDER = ("ground_truth", "year")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    is_folder = Path(options.scores).is_dir()
    check_use(parser, options, is_folder=is_folder)
    try:
        score = score_dcase if is_folder else score_asvspoof
        if _is_sasv(options.protocol):
            refuse(
                parser, options, OPTIONS_OF_DETECTION, f"--protocol {options.protocol} is a key of track 2"
            )
            score = score_sasv
        score(options, Console(width=max(Console().width, MIN_WIDTH)))
    except MissingKeyError as error:
        parser.error(str(error))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _is_sasv(protocol: str | None) -> bool:
    return protocol is not None and Path(protocol).is_file() and is_sasv_key(protocol)


def build_parser() -> CommandParser:
    """Options of the command."""
    parser = CommandParser("lightning_modules.score", description=__doc__, epilog=EXAMPLE)
    add = parser.add_argument
    add(
        "--scores",
        required=True,
        metavar="PATH",
        help="spoofing: a file 'UTT SCORE', 'UTT LABEL SCORE', 'UTT SYSTEM KEY SCORE', a table with header, the "
        "tables/test_trials.csv of a run, or a log of the nii baselines; track 2 'spk filename cm-score asv-score "
        "sasv-score'; DCASE: a folder of anomaly_score_*.csv and, for precision and recall, decision_result_*.csv",
    )
    add("--json", type=Path, metavar="FILE", help="write all results, rates as fractions")
    add("--csv", type=Path, metavar="FILE", help="the breakdown as a table, one line a condition")

    add = parser.add_argument_group("spoofing").add_argument
    add(
        "--protocol",
        metavar="PATH",
        help="labels, where the scores carry none: of ASVspoof 2019, 2021 (trial_metadata.txt) or 5, a table with "
        "header as file_name,label, or the folder of MLAAD",
    )
    add(
        "--bonafide",
        metavar="WORD",
        help="the label of bona fide trials where it is another word or a number",
    )
    add(
        "--asv-scores",
        metavar="PATH",
        help="2019 ASV score file or 2021 folder ASV, without it no t-DCF; track 2: scores with asv-score of the "
        "verification behind the t-DCF (default: the organisers' error rates)",
    )
    add("--tdcf", type=int, choices=(2019, 2021), help="t-DCF revision (default: the protocol's)")
    add("--subset", choices=SUBSETS, help="of a 2021 protocol (default: eval)")
    add(
        "--threshold",
        type=float,
        metavar="T",
        help="miss rate and 1-SRR at this score, also of spoofed trials alone",
    )
    add(
        "--threshold-from",
        metavar="SCORES[:KEY]",
        help="the same at the EER threshold of another score file, whose key is needed where it carries no labels",
    )
    add(
        "--eer",
        choices=get_args(EerRule),
        help="rule of the EER: asvspoof (default) is also that of Speech DF Arena and AntiDeepfake; interpolated lets "
        "ties share a threshold, as scikit-learn's ROC",
    )
    add("--bootstrap", type=int, default=0, metavar="N", help="draws for 95 %% intervals (default: none)")

    add = parser.add_argument_group("DCASE Task 2").add_argument
    add(
        "--ground-truth",
        metavar="PATH",
        help="an official evaluator's folder or eval_data_list.csv (default: the labels in the clips' names)",
    )
    add("--year", type=int, choices=YEARS, help="whose rules apply (default: as the files are named)")
    return parser


def check_use(parser: argparse.ArgumentParser, options: argparse.Namespace, *, is_folder: bool) -> None:
    """Ends the command with exit code 2 where its options contradict each other."""
    if options.bootstrap < 0:
        parser.error(f"--bootstrap {options.bootstrap}: expected 0 (none) or a number of draws")
    kind, others = ("a folder", OPTIONS_OF_FILE) if is_folder else ("no folder", OPTIONS_OF_FOLDER)
    refuse(parser, options, others, f"--scores {options.scores} is {kind}")
    if options.threshold is not None and not math.isfinite(options.threshold):
        parser.error(f"--threshold {options.threshold}: expected a finite number")
    if options.threshold is not None and options.threshold_from is not None:
        parser.error("--threshold and --threshold-from: give one of them")


def refuse(
    parser: argparse.ArgumentParser, options: argparse.Namespace, names: Sequence[str], reason: str
) -> None:
    """Ends the command with exit code 2 where one of the options is given."""
    if wrong := [name for name in names if getattr(options, name) != parser.get_default(name)]:
        parser.error(f"{reason}: drop --{wrong[0].replace('_', '-')}")


if __name__ == "__main__":
    sys.exit(main())
