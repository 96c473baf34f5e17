r"""Make pairs of clips before and after an effect, in SignalTrain's layout, to train on.

    python -m datamodules.effect_corpus compressor data/my_compressor
    python -m datamodules.effect_corpus echo data/my_echo --audio RECORDINGS --sample_rate 44100 --seconds 5

Without --audio the clips are synthetic tones, noises, steps and sweeps. The files of RECORDINGS, a folder searched in
depth, are shared out to Train, Val and Test, 8 : 1 : 1.
"""

from pathlib import Path

from datamodules.config.arguments import CommandParser
from datamodules.production.pairs.audio_effects import EFFECTS
from datamodules.production.pairs.effect_writer import write_effect


def main() -> None:
    """Parses the command line and writes the corpus."""
    parser = CommandParser("datamodules.effect_corpus", description=__doc__)
    add = parser.add_argument
    add("effect", choices=sorted(EFFECTS), help="what the clips pass through")
    add("folder", type=Path, help="where to write; must not exist")
    add("--audio", type=Path, help="folder of one's own recordings (default: synthetic clips)")
    add("--num_train", type=int, default=300, help="clips of Train (default: %(default)s)")
    add("--num_test", type=int, default=12, help="clips of Val, and of Test (default: %(default)s)")
    add("--seconds", type=float, default=2.0, help="length of a clip (default: %(default)s)")
    add("--sample_rate", type=int, default=16000, help="in Hz (default: %(default)s)")
    add("--seed", type=int, default=0, help="the same one gives the same corpus (default: %(default)s)")
    options = parser.parse_args()
    if options.folder.exists():
        parser.error(f"{options.folder} exists: name a new folder or delete it")
    if min(options.num_train, options.num_test, options.sample_rate) < 1 or options.seconds <= 0:
        parser.error(
            "--num_train, --num_test, --sample_rate and --seconds: expected more than nothing of each"
        )
    try:
        write_effect(**vars(options))
    except (ValueError, OSError) as error:
        parser.exit(1, f"error: {error}\n")


if __name__ == "__main__":
    main()
