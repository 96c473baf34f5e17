"""DFADD: VCTK's speakers by five diffusion and flow matching systems (Du et al., SLT 2024).

Layout: ``DATASET_<system>/{train,valid,test}/<file>``, beside ``DATASET_VCTK_BONAFIDE`` with the genuine speech, by
AntiDeepfake's ``protocols/DFADD.py``; in April 2025 its authors mended MatchaTTS, whose audio did not fit its names.
All in all there are 44,455 genuine and 163,500 spoofed files, of which the training and validation parts could not be
verified.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from datamodules.folders.sound_files import Part
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.made import write_sounds
from datamodules.ssd.corpora.trees import home, sounds, subfolders

_BONAFIDE, _PREFIX = "DATASET_VCTK_BONAFIDE", "DATASET_"
_PARTS: Mapping[Part | None, str] = {"train": "train", "validation": "valid", "test": "test"}


def trials(root: Path, split: Part | None) -> Iterator[Trial]:
    """Sounds of a part of every system, named ``p227_164_GradTTS.wav`` by speaker, sentence and system."""
    base = home(root, _BONAFIDE)
    for folder in subfolders(base):
        if not folder.startswith(_PREFIX):
            continue
        label = "bonafide" if folder == _BONAFIDE else "spoof"
        for sound in sounds(base, f"{folder}/{_PARTS[split]}", "<file>"):
            attributes = {"attack": folder.removeprefix(_PREFIX), "language": "en"}
            attributes["speaker"] = sound.parts[0].partition("_")[0]
            yield Trial(sound.path, sound.key, sound.path, label, attributes)


def write_demo(root: Path, seed: int) -> None:
    """Of each part two genuine utterances and two of each of two systems, four in training."""
    files = {}
    for part, speaker in (("train", "p225"), ("valid", "p226"), ("test", "p227")):
        for number in range(4 if part == "train" else 2):
            files[f"{_BONAFIDE}/{part}/{speaker}_00{number}.wav"] = False
            for system in ("GradTTS", "MatchaTTS"):
                files[f"{_PREFIX}{system}/{part}/{speaker}_00{number}_{system}.wav"] = True
    write_sounds(root, files, seed)


DFADD = Corpus(
    name="dfadd",
    title="DFADD",
    source="https://github.com/isjwdu/DFADD",
    licence="MIT; VCTK CC BY 4.0",
    trials=trials,
    splits=("train", "validation", "test"),
    counts={"test": (755, 3000)},
    speech_of=frozenset({"VCTK"}),
    write_demo=write_demo,
)
