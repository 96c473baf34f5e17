"""Scores checkpoints on several corpora: a row each in evaluations.csv, and files of their own below evaluations/.

A corpus is a public one by its name and folder, in_the_wild=FOLDER, or under another name, WILD=in_the_wild:FOLDER; a
name and a file of what differs from the checkpoint's configuration; or a name alone for the checkpoint's own data, or
for one of the corpora in them. Crops and padding are the checkpoint's. A pair that is finished, of the same weights,
clips and settings, is not scored again. Other arguments are overrides of the configuration for all pairs, as of test.
At the end stands the table of all corpora, which lightning_modules.report makes of evaluations.csv.
"""

from pathlib import Path

from lightning_modules.config import cli

EXAMPLE = """examples:
  python -m lightning_modules.evaluate --ckpt_path runs/ssd_aasist/3f2a --split validation test
  python -m lightning_modules.evaluate --ckpt_path runs/ssd_aasist/3f2a runs/ssd_lcnn/77c1/checkpoints/last.ckpt \\
      --on LA19 DF21=configs/overlays/ssd_2021_df.yaml in_the_wild=/data/release_in_the_wild --output tables
  python -m lightning_modules.evaluate --ckpt_path runs/ssd_aasist/3f2a --condition clean mp3@32k opus@16k+snr10

Exit codes: 0 all pairs are evaluated, 1 some failed (each is named; the others are evaluated), 2 wrong use."""


def main() -> None:
    """Runs the command."""
    from lightning_utilities.core.rank_zero import rank_zero_only

    from datamodules.config.arguments import CommandParser
    from datamodules.config.errors import misplaced
    from lightning_modules.commands import evaluations, workflow
    from lightning_modules.matrix.report import summary

    parser = CommandParser("lightning_modules.evaluate", description=__doc__, epilog=EXAMPLE)
    add = parser.add_argument
    add(
        "--ckpt_path",
        required=True,
        nargs="+",
        action="extend",
        metavar="RUN",
        help="checkpoints, or folders of runs: their best checkpoint, or their last",
    )
    add(
        "--on",
        nargs="+",
        action="extend",
        metavar="NAME=PLACE",
        help="corpora: a public one and its folder, ALIAS=NAME:FOLDER to call it otherwise, or a name and the YAML file"
        " that goes on top of the checkpoint's configuration; a name alone is the checkpoint's own data (default: own)",
    )
    add(
        "--split",
        nargs="+",
        choices=("test", "validation"),
        default=["test"],
        help="which to score (default: test)",
    )
    add(
        "--condition",
        nargs="+",
        action="extend",
        default=[],
        metavar="CODEC+snrDB+rt60_S",
        help="what the clips go through before they are scored, see data.condition; clean is nothing (default: what the"
        " configuration says)",
    )
    add(
        "--threshold-from",
        metavar="NAME",
        help="corpus whose EER threshold decides on corpora of one class (default: the checkpoint's own validation"
        " where it is in the table, else the first corpus of both classes)",
    )
    add("--output", default=".", metavar="FOLDER", help="of evaluations.csv (default: the working folder)")
    options, overrides = parser.parse_known_args()
    for word in overrides:
        key = word.partition("=")[0]
        if key.startswith("--") and "." not in key and key != "--seed_everything":
            parser.error(misplaced(word.partition("=")[0], parser.known))
    try:
        corpora = evaluations.read_corpora(options.on or ["own"])
        evaluations.require_conditions(options.condition)
        if options.threshold_from is not None:
            evaluations.require_corpus(options.threshold_from, corpora, options.output)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    outcome = evaluations.evaluate_pairs(
        options.ckpt_path,
        corpora,
        options.split,
        overrides,
        score=workflow.evaluate,
        conditions=options.condition,
        output=options.output,
    )
    if rank_zero_only.rank == 0:
        table = Path(options.output) / evaluations.TABLE
        print(summary(table, outcome.checkpoints, threshold_from=options.threshold_from), end="")
    raise SystemExit(1 if outcome.failed else 0)


if __name__ == "__main__":
    cli.one_line_errors(main)
