"""Scores the validation split with a checkpoint.

Examples:
    python -m lightning_modules.validate --ckpt_path runs/ssd_aasist/3f2a/checkpoints/last.ckpt
    python -m lightning_modules.validate --config configs/ssd_aasist.yaml
"""

from lightning_modules.commands import workflow
from lightning_modules.config import cli


def main() -> None:
    """Runs the command."""
    platform = cli.build("validate", __doc__ or "")
    workflow.check_or(platform, lambda: workflow.evaluate(platform, "validation"))


if __name__ == "__main__":
    cli.one_line_errors(main)
