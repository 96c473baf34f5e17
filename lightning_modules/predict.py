"""Scores audio files, folders and protocols with a checkpoint; writes one line a clip in the data set's format.

Examples:
    python -m lightning_modules.predict --ckpt_path runs/ssd_aasist/3f2a/checkpoints/last.ckpt \
        --data.predict='[call.wav, recordings/]' --output scores.txt
    python -m lightning_modules.predict --config configs/ssd_aasist.yaml --model.weights AASIST.pth \
        --data.predict='[recordings/]'
"""

from lightning_modules import cli, workflow


def main() -> None:
    """Runs the command."""
    platform = cli.build("predict", __doc__ or "")
    workflow.check_or(platform, lambda: workflow.predict(platform))


if __name__ == "__main__":
    cli.main(main)
