"""DSD corpus: Korean, English and Japanese speech and its clones (Zenodo record 13788455, 2024).

Layout: ``DSD_corpus_v1.csv`` beside the audio, by AntiDeepfake's ``protocols/DSD.py``. The list has 92,385 rows, whose
numbers by part and class could not be verified; part of the genuine speech was recorded for it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from datamodules.folders.sound_files import Part
from datamodules.protocol import Faults
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.made import write_list, write_sounds
from datamodules.ssd.corpora.trees import home, language, read_columns

_LIST, _FILE = "DSD_corpus_v1.csv", "Utterence name (file name)"
_HEADER = (
    f"{_FILE},TTS or VC,Is multi-speaker?,Language,Noise type 1,Source link,utt,group,Speaker name,Gender,Age,"
    "label,Model,subset,duration"
)
_PARTS: Mapping[str, Part] = {"train": "train", "dev": "validation", "eval": "test"}


def trials(root: Path, split: Part | None) -> Iterator[Trial]:
    """Rows of a part, such as ``09MKIS0040_12815.wav,-,No,Korean,-,-,...,bonafide,-,train,6.25``."""
    base, faults = home(root, _LIST), Faults()
    for place, row in read_columns(
        base / _LIST, _FILE, "Language", "Speaker name", "label", "Model", "subset"
    ):
        part = _PARTS.get(row["subset"])
        if part is None:
            faults.add(place, f"subset {row['subset']!r} is none of {', '.join(_PARTS)}", "correct the line")
        elif part == split:
            attributes = {"attack": row["Model"], "speaker": row["Speaker name"]}
            attributes["language"] = language(row["Language"])
            yield Trial(place, row[_FILE], f"{base}/{row[_FILE]}", row["label"], attributes)
    faults.refuse()


def write_demo(root: Path, seed: int) -> None:
    """Two utterances of each class in each part, four in training."""
    lines, files = [_HEADER], {}
    for part, speaker in (("train", "09MKIS0040"), ("dev", "06FKMJ0055"), ("eval", "12MWKH0048")):
        for number in range(14, 18 if part == "train" else 16):
            key, fake = f"{speaker}_128{number}", f"{speaker}_0000{number}"
            lines.append(f"{key}.wav,-,No,Korean,-,-,{key},AIHUB,{speaker},Male,Adult,bonafide,-,{part},1.5")
            lines.append(
                f"{fake}.wav,TTS,No,Korean,-,-,{fake},VITS-AIHUB,{speaker},Male,Adult,spoof,VITS,{part},1.6"
            )
            files |= {f"{key}.wav": False, f"{fake}.wav": True}
    write_list(root / _LIST, lines)
    write_sounds(root, files, seed)


DSD = Corpus(
    name="dsd",
    title="DSD corpus",
    source="https://zenodo.org/records/13788455",
    licence="CC BY-NC 4.0",
    trials=trials,
    splits=("train", "validation", "test"),
    speech_of=frozenset({"AIHUB", "LibriSpeech", "VCTK"}),
    write_demo=write_demo,
)
