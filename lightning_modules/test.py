"""Scores the test split with a checkpoint: metrics, official score file, figures and a row of results.csv.

Examples:
    python -m lightning_modules.test --ckpt_path runs/ssd_aasist/3f2a/checkpoints/last.ckpt
    python -m lightning_modules.test --config configs/ssd_aasist.yaml --model.weights AASIST.pth
"""

from lightning_modules.commands import workflow
from lightning_modules.config import cli


def main() -> None:
    """Runs the command."""
    platform = cli.build("test", __doc__ or "")
    workflow.check_or(platform, lambda: workflow.evaluate(platform, "test"))


if __name__ == "__main__":
    cli.one_line_errors(main)
