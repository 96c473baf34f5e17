"""Says what a method must beat: simple baselines on the clips of its configuration, in figures of its own report.

Clips are described by mean and deviation of 40 mel bands over what is heard in evaluation. Logistic regression and the
nearest training clip tell classes apart; the nearest normal clip, the distance of Mahalanobis and logistic regression
of machine instances find anomalies; mappings are linear, or those of the nearest example; the rival of a generator
shuffles its training clips.

Examples:
    python -m lightning_modules.baseline --config configs/ssd_aasist.yaml
    python -m lightning_modules.baseline --config configs/production_tagger.yaml --data.root=Samples
    python -m lightning_modules.baseline --ckpt_path runs/ssd_aasist/3f2a/checkpoints/last.ckpt --output baselines.csv

Exit codes: 0 evaluated, 1 a file is wrong or the method has no baseline, 2 wrong use.
"""

from pathlib import Path

from datamodules.config.arguments import CommandParser
from lightning_modules.commands.launch import launch


def main() -> None:
    """Runs the command."""
    parser = CommandParser("lightning_modules.baseline", description=__doc__, add_help=False)
    parser.add_argument("--output", type=Path, help="also write the figures to this CSV file")
    options, arguments = parser.parse_known_args()
    from lightning_modules.config import cli

    platform = cli.build("baseline", __doc__ or "", arguments, also_known=parser.known)
    from lightning_modules.baselines.table import evaluate_baselines

    evaluate_baselines(platform, options.output)


if __name__ == "__main__":
    launch(main)
