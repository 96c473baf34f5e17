"""HABLA: Spanish of five countries of Latin America (Tamayo Flórez et al., Interspeech 2023).

Layout: ``Real/<country>/<speaker>/<file>``, ``<system>/<country>-<country>/<source>-<target>/<file>`` of conversions,
and folders of synthesis of their own depths, all below ``FinalDataset_16khz``, by AntiDeepfake's
``protocols/HABLA.py``. Counts are those of the copy of the Speech Anti-Spoofing Arena.
"""

from collections.abc import Iterator
from pathlib import Path

from datamodules.folders.sound_files import Part
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.made import write_sounds
from datamodules.ssd.corpora.trees import home, sounds, subfolders

_BONAFIDE, _COMBINED = "Real", "TTS-VC"
_REAL_LAYOUT = "<country>/<speaker>/<file>"
_LAYOUTS = ("<country>/<file>", "<country>/<speakers>/<file>", "<system>/<country>/<speakers>/<file>")


def trials(root: Path, _split: Part | None) -> Iterator[Trial]:
    """Sounds of each folder; synthesis before a conversion lies in ``TTS-VC/<system>``."""
    base = home(root, _BONAFIDE)
    for folder in subfolders(base):
        real = folder == _BONAFIDE
        for sound in sounds(base, folder, *((_REAL_LAYOUT,) if real else _LAYOUTS)):
            system, places = folder, sound.parts[:-1]
            if folder == _COMBINED:
                system, *places = places
            attributes = {"attack": system, "language": "es", "country": places[0]}
            if len(places) == 2:
                attributes["speaker"] = places[1].rpartition("-")[2]  # who is heard is the target
            yield Trial(sound.path, sound.key, sound.path, "bonafide" if real else "spoof", attributes)


def write_demo(root: Path, seed: int) -> None:
    """Four genuine utterances, two conversions and two of synthesis."""
    real = [f"{_BONAFIDE}/Chile/clf_07508/clf_07508_0079985714{number}.wav" for number in range(4)]
    pair = "CycleGAN/Venezuela-Argentina/vem_02484-arm_01523/CycleGAN-vem_02484_0099383701"
    fake = [f"{pair}{number}-arm_01523_020267.wav" for number in (0, 1)]
    fake += [f"TTS/Chile/TTS-clf_07508_{number}.wav" for number in (0, 1)]
    write_sounds(root / "FinalDataset_16khz", dict.fromkeys(real, False) | dict.fromkeys(fake, True), seed)


HABLA = Corpus(
    name="habla",
    title="HABLA",
    source="https://doi.org/10.21437/Interspeech.2023-2272",
    licence="CC BY 4.0",
    trials=trials,
    counts={"all": (22816, 58000)},
    speech_of=frozenset({"OpenSLR Latin American Spanish"}),
    write_demo=write_demo,
)
