"""A corpus of pairs: what goes into an effect, and what it makes of it at many settings of its knobs."""

from pathlib import Path

import numpy as np
import soundfile
from numpy.random import Generator

from datamodules.clips import ClipDataset
from datamodules.demo.effect_signals import compose
from datamodules.files import new_folder
from datamodules.production.pairs.audio_effects import EFFECTS, Effect, Samples
from datamodules.production.pairs.mixtures import draw_crop
from datamodules.production.pairs.noisy_mixtures import share_of_files
from datamodules.production.pairs.pairs import PairSplit

_SPLITS: dict[str, PairSplit] = {"Train": "train", "Val": "validation", "Test": "test"}


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
            f"[effect]\nname = {chosen.name}\nknob_names = {names}\nknob_ranges = {ranges}\n{inverse}",
            encoding="utf-8",
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
