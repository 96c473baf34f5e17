"""Trains, tests the best checkpoint, and writes scores, results and figures.

Examples:
    python -m lightning_modules.fit --config configs/ssd_aasist.yaml
    python -m lightning_modules.fit --config configs/ssd_aasist.yaml --config configs/overlays/demo.yaml
    python -m lightning_modules.fit --config configs/ssd_aasist.yaml --data.batch_size=12 --trainer.devices=2
    python -m lightning_modules.fit --config configs/ssd_aasist.yaml --check
"""

from lightning_modules import cli


def main() -> None:
    """Runs the command."""
    platform = cli.build("fit", __doc__ or "")
    if platform.config_init.check:
        from lightning_modules.dry_run import dry_run

        dry_run(platform)
        return
    from lightning_modules import workflow

    workflow.train(platform)
    workflow.evaluate(platform, "test", workflow.best_or_last_checkpoint(platform))


if __name__ == "__main__":
    cli.main(main)
