"""Compares two methods on the same clips: the difference of a figure, its uncertainty and p-value.

A method is one run or several with different seeds. Of classifiers tables/<split>_clips.csv of the runs are read: clips
and seeds are two reasons for a difference to be chance, and with one run each only the clips can be judged. Of spoofing
detectors score files are read, or tables/<split>_trials.csv of runs, and of detectors of anomalous sounds folders of
anomaly scores, or runs: trials are resampled, the same for both methods.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from datamodules.config.arguments import CommandParser, at_least_one
from lightning_modules.commands.compare_classes import compare_classes
from lightning_modules.commands.compare_scores import TITLES, compare_dcase, compare_scores
from lightning_modules.metrics.asvspoof_protocols import SUBSETS
from lightning_modules.metrics.dcase_evaluation import YEARS

EXAMPLE = """examples:
  python -m lightning_modules.compare --a runs/event/datar --b runs/event/ast
  python -m lightning_modules.compare --a runs/epic/datar-seed_* --b runs/epic/ast-seed_* --head verb --top 5
  python -m lightning_modules.compare --a aasist.txt --b sls_seed*.txt --protocol in_the_wild.csv --metric eer
  python -m lightning_modules.compare --a runs/asd/maf --b baseline/scores --ground-truth dcase2023_task2_evaluator

Exit codes: 0 compared, 1 a file is missing or of other clips (the message says which), 2 wrong use."""

Kind = Literal["classes", "scores", "anomalies"]
OPTIONS: dict[Kind, tuple[str, ...]] = {
    "classes": ("head", "top"),
    "scores": ("metric", "protocol", "subset", "bonafide", "draws", "seed"),
    "anomalies": ("metric", "ground_truth", "year", "draws", "seed"),
}
HOLDS = {"classes": "ranks of classes", "scores": "scores of trials", "anomalies": "anomaly scores"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    given = [Path(each) for each in (*options.a, *options.b)]
    try:
        if twice := [path for path in given if given.count(path) > 1]:
            raise ValueError(f"{twice[0]} comes twice: a run is of one method and counts once")
        kinds, paths = zip(*(find_scores(path, options.split) for path in given), strict=True)
        missing = [path for path in given if not path.exists()]
        if missing and len(set(kinds)) > 1:
            raise ValueError(f"{missing[0]}: no such file or folder")
        check_use(parser, options, kinds)
        if kinds[0] == "classes":
            text, result = compare_classes(options)
        else:
            text, result = (compare_scores if kinds[0] == "scores" else compare_dcase)(options, paths)
        if options.json is not None:
            asked = {"a": options.a, "b": options.b, "split": options.split}
            defined = {name: None if value != value else value for name, value in result.items()}
            options.json.write_text(json.dumps(asked | defined, indent=1) + "\n", encoding="utf-8")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(text)
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
            help=f"run folders or scores of method {name}, one a seed",
        )
    add("--split", default="test", help="which was scored, of run folders (default: %(default)s)")
    add("--json", type=Path, metavar="FILE", help="write the result, rates as fractions")

    add = parser.add_argument_group("classifiers").add_argument
    add("--head", help="whose classes, e.g. verb, noun or action (default: the only one)")
    add(
        "--top",
        type=at_least_one,
        default=1,
        metavar="K",
        help="right is among the best K (default: %(default)s)",
    )

    add = parser.add_argument_group("detectors").add_argument
    add(
        "--metric", choices=tuple(TITLES), help="of spoofing detectors (default: eer); of anomalies it is auc"
    )
    add(
        "--protocol",
        metavar="PATH",
        help="labels of spoofing detection, as of score, where the scores carry none",
    )
    add("--subset", choices=SUBSETS, help="of a 2021 protocol (default: eval)")
    add(
        "--bonafide",
        metavar="WORD",
        help="the label of bona fide trials where it is another word or a number",
    )
    add("--ground-truth", metavar="PATH", help="of DCASE Task 2, as of score")
    add(
        "--year",
        type=int,
        choices=YEARS,
        help="of DCASE, whose rules apply (default: as the files are named)",
    )
    add("--draws", type=at_least_one, default=1000, metavar="N", help="resampled sets (default: %(default)s)")
    add("--seed", type=int, default=0, help="of the resampling (default: %(default)s)")
    return parser


def find_scores(path: Path, split: str) -> tuple[Kind, Path]:
    """What a run holds, and where."""
    if path.is_file():
        return "scores", path
    for folder in (path, path / "scores" / split):
        if any(folder.glob("anomaly_score_*.csv")):
            return "anomalies", folder
    trials = path / "tables" / f"{split}_trials.csv"
    return ("scores", trials) if trials.is_file() else ("classes", path)


def check_use(parser: argparse.ArgumentParser, options: argparse.Namespace, kinds: Sequence[Kind]) -> None:
    """Ends the command with exit code 2 where options do not fit what is compared.

    Raises:
        ValueError: Runs hold different things.
    """
    runs = (*options.a, *options.b)
    for run, kind in zip(runs, kinds, strict=True):
        if kind != kinds[0]:
            raise ValueError(
                f"{runs[0]} holds {HOLDS[kinds[0]]}, {run} {HOLDS[kind]}: compare what is of one kind"
            )
    others = {name for names in OPTIONS.values() for name in names}.difference(OPTIONS[kinds[0]])
    for name in sorted(others):
        if getattr(options, name) != parser.get_default(name):
            parser.error(f"{runs[0]} holds {HOLDS[kinds[0]]}: drop --{name.replace('_', '-')}")
    if kinds[0] == "anomalies" and options.metric not in (None, "auc"):
        parser.error(f"--metric {options.metric}: anomalous sounds are compared by auc")


if __name__ == "__main__":
    sys.exit(main())
