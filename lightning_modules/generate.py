r"""Makes new sounds with a checkpoint and writes WAV files.

Example:
    python -m lightning_modules.generate --ckpt_path runs/production_wavegan/3f2a/checkpoints/last.ckpt \
        --num 20 --seed 1 --into drums/
"""

from pathlib import Path

import soundfile

from datamodules.config.arguments import CommandParser, at_least_one
from lightning_modules.commands.trained import trained_model
from lightning_modules.config import cli
from lightning_modules.production import Synthesizer


def main() -> None:
    """Runs the command."""
    parser = CommandParser("lightning_modules.generate", description=__doc__)
    add = parser.add_argument
    add("--ckpt_path", required=True, help="checkpoint of a run that synthesises")
    add("--num", type=at_least_one, default=16, help="how many sounds (default: %(default)s)")
    add("--seed", type=int, default=0, help="the same seed gives the same sounds (default: %(default)s)")
    add("--into", type=Path, required=True, help="folder of the files, made where it is missing")
    arguments = parser.parse_args()
    generate(arguments.ckpt_path, num=arguments.num, seed=arguments.seed, into=arguments.into)


def generate(ckpt_path: str, *, num: int, seed: int, into: Path) -> None:
    """Writes ``sound0000.wav`` and on, 32-bit float, at the checkpoint's sample rate.

    Raises:
        ValueError: A file is there already, or the checkpoint's model makes no sounds.
    """
    paths = [into / f"sound{number:04d}.wav" for number in range(num)]
    for path in paths:
        if path.exists():
            raise ValueError(f"{path}: is there already and never overwritten: name another folder")
    model = trained_model(ckpt_path, Synthesizer, wanted="production_wavegan")
    sounds = model.generate(num, seed=seed).cpu()
    into.mkdir(parents=True, exist_ok=True)
    for path, sound in zip(paths, sounds, strict=True):
        with path.open("xb") as file:
            soundfile.write(file, sound[0].numpy(), model.sample_rate, format="WAV", subtype="FLOAT")


if __name__ == "__main__":
    cli.one_line_errors(main)
