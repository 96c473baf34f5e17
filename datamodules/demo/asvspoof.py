"""A small spoofing corpus in the layout of ASVspoof 2019 LA: synthetic voices, real processing artefacts."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from numpy.random import Generator

from datamodules.demo.utterances import write_utterance
from datamodules.demo.vocoders import EVALUATION_SYSTEMS, TRAINING_SYSTEMS, Vocoder
from datamodules.files import new_folder

DEMO_ROOT = "data/demo/ASVspoof2019_LA"
_SYSTEMS: Mapping[str, Vocoder] = TRAINING_SYSTEMS | EVALUATION_SYSTEMS


@dataclass(frozen=True)
class _Part:
    """One split: its names, its speakers, its systems and its sizes."""

    name: str
    ending: str
    letter: str
    first_speaker: int
    num_speakers: int
    systems: Mapping[str, Vocoder]
    num_bonafide: int
    num_spoof: int


_PARTS = (
    _Part("train", "trn", "T", 79, 8, TRAINING_SYSTEMS, 28, 32),
    _Part("dev", "trl", "D", 69, 6, TRAINING_SYSTEMS, 20, 20),
    _Part("eval", "trl", "E", 1, 10, EVALUATION_SYSTEMS, 40, 40),
)


@dataclass(frozen=True)
class _Utterance:
    """One line of a protocol."""

    part: str
    speaker: str
    key: str
    system: str
    seed: tuple[int, ...]


def make_demo(folder: str | Path, *, seed: int = 0) -> None:
    """Write the corpus: 60 training, 40 development and 80 evaluation utterances of 1 to 2 s.

    The folder appears at once when complete; of several processes that make it, the first wins.
    """
    with new_folder(folder) as root:
        _write(root, seed)


def _write(root: Path, seed: int) -> None:
    protocols, verification = root / "ASVspoof2019_LA_cm_protocols", root / "ASVspoof2019_LA_asv_scores"
    protocols.mkdir()
    verification.mkdir()
    for number, part in enumerate(_PARTS):
        random = np.random.default_rng([seed, number])
        rows = _draw_part(part, (seed, number), random)
        lines = [
            f"{u.speaker} {u.key} - {u.system} {'bonafide' if u.system == '-' else 'spoof'}\n" for u in rows
        ]
        (protocols / f"ASVspoof2019.LA.cm.{part.name}.{part.ending}.txt").write_text(
            "".join(lines), encoding="utf-8"
        )
        if part.name != "train":
            scores = verification / f"ASVspoof2019.LA.asv.{part.name}.gi.trl.scores.txt"
            scores.write_text("".join(_verification_scores(part, random)), encoding="utf-8")
        for row in rows:
            write_utterance(
                root / f"ASVspoof2019_LA_{part.name}" / "flac" / f"{row.key}.flac",
                speaker=int(row.speaker[3:]),
                vocoder=_SYSTEMS.get(row.system),
                seed=row.seed,
            )


def _draw_part(part: _Part, seed: tuple[int, int], random: Generator) -> list[_Utterance]:
    systems = ["-"] * part.num_bonafide + list(islice(cycle(part.systems), part.num_spoof))
    random.shuffle(systems)
    numbers = 1_000_000 + 137 * np.arange(1, len(systems) + 1)
    speakers = part.first_speaker + random.integers(part.num_speakers, size=len(systems))
    return [
        _Utterance(part.name, f"LA_{speaker:04d}", f"LA_{part.letter}_{number}", system, (*seed, i))
        for i, (speaker, number, system) in enumerate(zip(speakers, numbers, systems, strict=True))
    ]


def _verification_scores(part: _Part, random: Generator) -> list[str]:
    """Scores of a verification system that spoofing often deceives: source, kind, log-likelihood ratio."""
    rows = [("bonafide", "target", 4.0, 3 * part.num_bonafide), ("bonafide", "nontarget", -4.0, 200)]
    rows += [(system, "spoof", 2.0, 40) for system in part.systems]
    return [
        f"{source} {kind} {random.normal(mean, 2.0):.6f}\n"
        for source, kind, mean, count in rows
        for _ in range(count)
    ]
