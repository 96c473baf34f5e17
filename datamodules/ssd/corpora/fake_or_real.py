"""Fake-or-Real: read speech and that of commercial and open synthesis (Reimão and Tzerpos, SpeD 2019).

Layout: ``for-norm/{training,validation,testing}/{fake,real}/<file>``, and the same below ``for-original``, by
AntiDeepfake's ``protocols/FakeOrReal.py`` and the list of Speech DF Arena. Systems are not told apart. Counts of the
other splits and of ``for-original`` could not be verified; of its 2,370 spoofed test files the Arena lists 2,264.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from datamodules.folders.sound_files import Part
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.made import write_sounds
from datamodules.ssd.corpora.trees import home, sounds

_PARTS: Mapping[Part | None, str] = {"train": "training", "validation": "validation", "test": "testing"}


def _reader(version: str) -> Callable[[Path, Part | None], Iterator[Trial]]:
    def trials(root: Path, split: Part | None) -> Iterator[Trial]:
        """Sounds of the two folders of a part."""
        base = home(root, f"{version}/training", f"{version}/testing")
        for label in ("real", "fake"):
            for sound in sounds(base, f"{version}/{_PARTS[split]}/{label}", "<file>"):
                yield Trial(sound.path, sound.key, sound.path, label, {"language": "en"})

    return trials


def _demo(version: str) -> Callable[[Path, int], None]:
    def write_demo(root: Path, seed: int) -> None:
        """Two utterances of each class in each part, four in training."""
        files = {}
        for part in _PARTS.values():
            for number in range(4 if part == "training" else 2):
                for label in ("fake", "real"):
                    files[f"{version}/{part}/{label}/file{number}.wav"] = label == "fake"
        write_sounds(root, files, seed)

    return write_demo


def _corpus(name: str, title: str, version: str, counts: Mapping[str, tuple[int, int]]) -> Corpus:
    return Corpus(
        name=name,
        title=title,
        source="https://bil.eecs.yorku.ca/datasets",
        licence="not stated",
        trials=_reader(version),
        splits=("train", "validation", "test"),
        counts=counts,
        speech_of=frozenset({"CMU ARCTIC", "LJSpeech", "VoxForge"}),
        write_demo=_demo(version),
    )


FAKE_OR_REAL = _corpus("fake_or_real", "Fake-or-Real (for-norm)", "for-norm", {"test": (2264, 2370)})
FAKE_OR_REAL_ORIGINAL = _corpus("fake_or_real_original", "Fake-or-Real (for-original)", "for-original", {})
