"""Trains, tests the best checkpoint, and writes scores, results and figures into the run's folder.

The same command continues a run that was cut off.

Examples:
    python -m lightning_modules.fit --config configs/ssd_aasist.yaml
    python -m lightning_modules.fit --config configs/ssd_aasist.yaml --config configs/overlays/demo.yaml
    python -m lightning_modules.fit --config configs/ssd_aasist.yaml --data.batch_size=12 --trainer.devices=2
    python -m lightning_modules.fit --config configs/ssd_aasist.yaml --check
"""

from lightning_modules.commands.launch import launch


def main() -> None:
    """Runs the command."""
    from lightning_modules.config import cli  # not before the launch is known to be right

    platform = cli.build("fit", __doc__ or "")
    from lightning_modules.commands import workflow  # nor before there is something to do

    workflow.check_or(platform, lambda: workflow.train_and_test(platform))


if __name__ == "__main__":
    launch(main)
