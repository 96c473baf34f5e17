"""Pairs of clips before and after an effect, in SignalTrain's layout."""

from pathlib import Path

import numpy as np
import soundfile
from numpy.random import Generator

from datamodules.audio_effects import EFFECTS, Effect
from datamodules.demo.effect_signals import compose
from datamodules.files import new_folder

DEMO_ROOT = "data/demo/compressor"
AMPLIFIER_ROOT = "data/demo/amplifier"


def write_effect(
    folder: str | Path,
    effect: str = "compressor",
    *,
    seed: int = 0,
    num_train: int = 60,
    num_test: int = 12,
    seconds: float = 2.0,
    sample_rate: int = 16000,
) -> None:
    """Write ``effect_info.ini`` and ``Train``, ``Val``, ``Test`` with pairs ``input_<n>_.wav``, ``target_<n>_...``.

    The effect runs over whole files, so that a target anywhere carries the state of all that came before. Every clip
    has knob settings of its own, evenly drawn.

    Args:
        folder: Where to write; appears at once when complete.
        effect: Key of `EFFECTS`.
        seed: The same one gives the same corpus.
        num_train: Files of ``Train``.
        num_test: Files of ``Val``, and of ``Test``.
        seconds: Length of a file.
        sample_rate: In Hz.
    """
    chosen = EFFECTS[effect]
    with new_folder(folder) as root:
        names, ranges = list(chosen.knobs), [list(limits) for limits in chosen.knobs.values()]
        inverse = "inverse = True\n" if chosen.inverse else ""
        (root / "effect_info.ini").write_text(
            f"[effect]\nname = {chosen.name}\nknob_names = {names}\nknob_ranges = {ranges}\n{inverse}"
        )
        sizes = {"Train": num_train, "Val": num_test, "Test": num_test}
        for number, (part, size) in enumerate(sizes.items()):
            (root / part).mkdir()
            random = np.random.default_rng([seed, number])
            dry = np.stack([compose(round(seconds * sample_rate), sample_rate, random) for _ in range(size)])
            _write_pairs(root / part, dry, chosen, sample_rate, random)


def write_amplifier(folder: str | Path, *, seed: int = 0) -> None:
    """Write a corpus of the effect without knobs: an amplifier captured at one setting."""
    write_effect(folder, "amplifier", seed=seed)


def _write_pairs(folder: Path, dry: np.ndarray, effect: Effect, sample_rate: int, random: Generator) -> None:
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
