"""WaveFake: LJSpeech and JSUT through vocoders, spoofed only (Frank and Schönherr, NeurIPS 2021).

Layout: ``generated_audio/<system>/<file>`` by AntiDeepfake's ``protocols/WaveFake.py``, which passes over folders
further below, as we do. Its authors' test is against the two corpora themselves.
"""

from collections.abc import Iterator
from pathlib import Path

from datamodules.audio.search import is_audio, names_in
from datamodules.folders.sound_files import Part
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.made import write_sounds
from datamodules.ssd.corpora.trees import home, subfolders

_FOLDER = "generated_audio"
_VOICES = {"jsut": "ja", "ljspeech": "en"}


def trials(root: Path, _split: Part | None) -> Iterator[Trial]:
    """Sounds of each system's folder, whose name, such as ``jsut_parallel_wavegan``, tells the voice."""
    base = home(root, _FOLDER)
    for system in subfolders(base / _FOLDER):
        attributes = {"attack": system}
        for voice, language in _VOICES.items():
            if voice in system:
                attributes |= {"language": language, "speaker": voice}
        for name in sorted(filter(is_audio, names_in(base / _FOLDER / system))):
            path = f"{base}/{_FOLDER}/{system}/{name}"
            yield Trial(path, f"{_FOLDER}/{system}/{name}", path, "spoof", attributes)


def write_demo(root: Path, seed: int) -> None:
    """Three systems, two utterances each."""
    systems = ("ljspeech_multi_band_melgan", "ljspeech_parallel_wavegan", "jsut_parallel_wavegan")
    names = [f"{system}/LJ008-021{number}_gen" for system in systems for number in (7, 8)]
    write_sounds(root, {f"{_FOLDER}/{name}.wav": True for name in names}, seed)


WAVEFAKE = Corpus(
    name="wavefake",
    title="WaveFake",
    source="https://zenodo.org/records/5642694",
    licence="CC BY-SA 4.0",
    trials=trials,
    counts={"all": (0, 117985)},
    speech_of=frozenset({"JSUT", "LJSpeech"}),
    write_demo=write_demo,
)
