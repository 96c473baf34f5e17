"""Makes new sounds with a checkpoint and writes WAV files.

Example:
    python -m lightning_modules.generate --ckpt_path runs/production_wavegan/3f2a/checkpoints/last.ckpt \
        --num 20 --seed 1 --into drums/
"""

import argparse
from pathlib import Path

import soundfile
import torch

from lightning_modules import cli, workflow


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        prog="python -m lightning_modules.generate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--ckpt_path", required=True, help="checkpoint of a run that synthesises")
    parser.add_argument("--num", type=int, default=16, help="how many sounds (default: 16)")
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same sounds (default: 0)"
    )
    parser.add_argument(
        "--into", type=Path, required=True, help="folder of the files, made where it is missing"
    )
    arguments = parser.parse_args()
    generate(arguments.ckpt_path, num=arguments.num, seed=arguments.seed, into=arguments.into)


def generate(ckpt_path: str, *, num: int, seed: int, into: Path) -> None:
    """Writes ``sound0000.wav`` and on, 32-bit float, at the checkpoint's sample rate.

    Raises:
        ValueError: If `num` is less than 1, or the checkpoint is of a model that makes no sounds.
    """
    if num < 1:
        raise ValueError(f"--num is {num}: ask for at least one sound")
    platform = cli.build("generate", __doc__ or "", ["--ckpt_path", ckpt_path])
    model = platform.model
    if not hasattr(model, "generate"):
        raise ValueError(
            f"{ckpt_path}: {type(model).__name__} makes no sounds: name a run of production_wavegan"
        )
    workflow.load_chosen_weights(platform, ckpt_path)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sounds = model.eval().to(device).generate(num, seed=seed).cpu()
    into.mkdir(parents=True, exist_ok=True)
    for number, sound in enumerate(sounds):
        soundfile.write(into / f"sound{number:04d}.wav", sound[0].numpy(), model.sample_rate, subtype="FLOAT")


if __name__ == "__main__":
    cli.main(main)
