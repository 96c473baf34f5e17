r"""Make pairs of clips before and after an effect, in SignalTrain's layout, to train on.

    python -m datamodules.effect_corpus compressor data/my_compressor
    python -m datamodules.effect_corpus echo data/my_echo --audio RECORDINGS --sample_rate 44100 --seconds 5

Without --audio the clips are synthetic tones, noises, steps and sweeps. The files of RECORDINGS, a folder searched in
depth, are shared out to Train, Val and Test, 8 : 1 : 1.
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile
from numpy.random import Generator

from datamodules.audio_effects import EFFECTS, Effect, Samples
from datamodules.clips import ClipDataset
from datamodules.demo.effect_signals import compose
from datamodules.files import new_folder
from datamodules.mixtures import draw_crop
from datamodules.noisy_mixtures import share_of_files
from datamodules.pairs import PairSplit

_SPLITS: dict[str, PairSplit] = {"Train": "train", "Val": "validation", "Test": "test"}


def main() -> None:
    """Parses the command line and writes the corpus."""
    parser = argparse.ArgumentParser(
        prog="python -m datamodules.effect_corpus",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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


def write_effect(
    folder: str | Path,
    effect: str = "compressor",
    *,
    audio: str | Path | None = None,
    seed: int = 0,
    num_train: int = 300,
    num_test: int = 12,
    seconds: float = 2.0,
    sample_rate: int = 16000,
) -> None:
    """Writes ``effect_info.ini`` and ``Train``, ``Val``, ``Test`` with pairs ``input_<n>_.wav``, ``target_<n>_...``.

    The effect runs over whole clips, so that a target anywhere carries the state of all that came before. Every clip
    has knob settings of its own, evenly drawn.

    Args:
        folder: Where to write; appears at once when complete.
        effect: Key of `EFFECTS`.
        audio: Folder of recordings that clips are cut from, averaged to mono; None composes signals.
        seed: The same one gives the same corpus.
        num_train: Clips of ``Train``.
        num_test: Clips of ``Val``, and of ``Test``.
        seconds: Length of a clip.
        sample_rate: In Hz.

    Raises:
        ValueError: `audio` holds less than a file for each split, or one that cannot be decoded.
    """
    chosen = EFFECTS[effect]
    with new_folder(folder) as root:
        names, ranges = list(chosen.knobs), [list(limits) for limits in chosen.knobs.values()]
        inverse = "inverse = True\n" if chosen.inverse else ""
        (root / "effect_info.ini").write_text(
            f"[effect]\nname = {chosen.name}\nknob_names = {names}\nknob_ranges = {ranges}\n{inverse}"
        )
        for number, (part, split) in enumerate(_SPLITS.items()):
            (root / part).mkdir()
            random = np.random.default_rng([seed, number])
            count = num_train if split == "train" else num_test
            if audio is None:
                size = round(seconds * sample_rate)
                dry = np.stack([compose(size, sample_rate, random) for _ in range(count)])
            else:
                files = share_of_files(Path(audio).expanduser(), split)
                clips = ClipDataset(files, sample_rate=sample_rate, crop_s=seconds, padding="zero")
                dry = np.concatenate([draw_crop(clips, random).double().numpy() for _ in range(count)])
            _write_pairs(root / part, dry, chosen, sample_rate, random)


def _write_pairs(folder: Path, dry: Samples, effect: Effect, sample_rate: int, random: Generator) -> None:
    low, high = np.array(list(effect.knobs.values())).reshape(-1, 2).T
    knobs = random.uniform(low, high, (len(dry), len(low)))
    # What stands in the file name is what the effect gets.
    texts = [[f"{float(f'{knob:.4g}')}" for knob in row] for row in knobs]
    knobs = np.array(texts, np.float64).reshape(knobs.shape)
    wet = effect.apply(dry, knobs, sample_rate, random)
    pairs = (wet, dry) if effect.inverse else (dry, wet)
    for number, (source, target, settings) in enumerate(zip(*pairs, texts, strict=True)):
        name = "__".join([f"target_{number}_{effect.name}", *settings])
        soundfile.write(folder / f"input_{number}_.wav", source, sample_rate, subtype="FLOAT")
        soundfile.write(folder / f"{name}.wav", target, sample_rate, subtype="FLOAT")


if __name__ == "__main__":
    main()
