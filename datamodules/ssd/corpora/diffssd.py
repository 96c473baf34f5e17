"""DiffSSD: eight open diffusion systems and two services, spoofed only (Bhagtani et al., 2024).

Layout: ``generated_speech/<system>/[<speaker>/]<file>`` by AntiDeepfake's ``protocols/DiffSSD.py``: systems of one
voice, that of LJSpeech, have no folder of a speaker, the others clone speakers of LibriSpeech. Its authors' splits,
with 24,226 utterances of these two corpora as the genuine ones, are not read, for they are no part of it.
"""

from collections.abc import Iterator
from pathlib import Path

from datamodules.folders.sound_files import Part
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.made import write_sounds
from datamodules.ssd.corpora.trees import home, sounds

_FOLDER = "generated_speech"


def trials(root: Path, _split: Part | None) -> Iterator[Trial]:
    """Sounds such as ``your_tts/speaker_1487/sentence_449.wav``."""
    for sound in sounds(home(root, _FOLDER), _FOLDER, "<system>/<file>", "<system>/<speaker>/<file>"):
        system, *speaker, _ = sound.parts
        attributes = {"attack": system, "language": "en", "speaker": speaker[0] if speaker else "ljspeech"}
        yield Trial(sound.path, sound.key, sound.path, "fake", attributes)


def write_demo(root: Path, seed: int) -> None:
    """Two systems, one with two speakers."""
    places = ("grad_tts", "your_tts/speaker_1487", "your_tts/speaker_1502")
    names = [f"{_FOLDER}/{place}/sentence_{number}.wav" for place in places for number in (448, 449)]
    write_sounds(root, dict.fromkeys(names, True), seed)


DIFFSSD = Corpus(
    name="diffssd",
    title="DiffSSD",
    source="https://huggingface.co/datasets/purdueviperlab/diffssd",
    licence="CC BY-NC-ND 4.0",
    trials=trials,
    counts={"all": (0, 70000)},
    speech_of=frozenset({"LJSpeech", "LibriSpeech"}),
    write_demo=write_demo,
)
