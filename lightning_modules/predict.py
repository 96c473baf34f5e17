r"""Scores audio files, folders, lists, tables and protocols with a checkpoint, in the data set's format.

A score is the test's; of files longer than what a test hears, windows tell of the rest. Bad files are listed.

Examples:
    python -m lightning_modules.predict --ckpt_path runs/ssd_aasist/3f2a/checkpoints/last.ckpt \
        --data.predict='[call.wav, recordings/]' --output scores.txt
    python -m lightning_modules.predict --ckpt_path tagger.ckpt --data.predict='[film.mp4]' --windows --top 3
    python -m lightning_modules.predict --config configs/ssd_aasist.yaml --model.weights AASIST.pth \
        --data.predict='[recordings/]'
    python -m lightning_modules.predict --package runs/ssd_aasist/3f2a/package call.wav recordings/
    python -m lightning_modules.predict --package PACKAGE --help

Exit codes: 0 scored, 1 nothing was scored, or with --strict not every file, 2 wrong use.
"""

import sys


def main() -> None:
    """Runs the command."""
    from lightning_modules.commands import workflow
    from lightning_modules.config import cli

    platform = cli.build("predict", __doc__ or "")
    workflow.check_or(platform, lambda: workflow.predict(platform))


def run() -> None:
    """Hands a package to the command that needs no Lightning, before that is imported."""
    if any(argument.split("=")[0] == "--package" for argument in sys.argv[1:]):
        from lightning_modules.package import command

        command.main()
    else:
        from lightning_modules.config import cli

        cli.one_line_errors(main)


if __name__ == "__main__":
    run()
