"""DECRO: like systems in English and Mandarin (Ba et al., The Web Conference 2023).

Layout: ``{en,ch}_{train,dev,eval}/<id>.wav`` and a list ``{en,ch}_{train,dev,eval}.txt`` each, by its authors' page and
AntiDeepfake's ``protocols/DECRO.py``. Counts are those of the lists; the page's own are one off in English training.
Systems have other names in other parts, as ``fs2`` and ``FastSpeech2``. The English genuine speech is that of ASVspoof
2019 LA, spoofed speech is in part that of WaveFake, FAD (now CFAD), FMFCC-A and ASVspoof 2019.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from datamodules.folders.sound_files import Part
from datamodules.protocol import read_rows
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.made import write_list, write_sounds
from datamodules.ssd.corpora.trees import home, language

_LANGUAGES = ("ch", "en")
_PARTS: Mapping[Part | None, str] = {"train": "train", "validation": "dev", "test": "eval"}


def trials(root: Path, split: Part | None) -> Iterator[Trial]:
    """Rows in the columns of ASVspoof 2019: ``unknown 20032123 - baidu spoof``."""
    names = [f"{spoken}_{_PARTS[split]}" for spoken in _LANGUAGES]
    base = home(root, *(f"{name}.txt" for name in names))
    for name in names:
        for place, (speaker, key, _, system, label) in read_rows(base / f"{name}.txt", num_columns=5):
            attributes = {"attack": system, "language": language(name), "speaker": speaker}
            yield Trial(place, f"{name}/{key}", f"{base}/{name}/{key}.wav", label, attributes)


def write_demo(root: Path, seed: int) -> None:
    """In each part and language two utterances of each class."""
    for number, part in enumerate(_PARTS.values(), start=1):
        spoken = {
            "ch": [f"unknown 2003212{number} - baidu spoof", f"unknown {number}338_baker - vits spoof"],
            "en": [
                f"unknown LJ016-001{number}_generated - hifigan spoof",
                f"001 test_308_00{number} - vits spoof",
            ],
        }
        spoken["ch"] += [f"G0019 T0055G0019S042{n} - aidatatang bonafide" for n in (number, number + 4)]
        spoken["en"] += [f"LA_0030 LA_E_58491{n} - asv19 bonafide" for n in (number + 80, number + 90)]
        for name, lines in spoken.items():
            write_list(root / f"{name}_{part}.txt", lines)
            files = {f"{line.split()[1]}.wav": line.endswith("spoof") for line in lines}
            write_sounds(root / f"{name}_{part}", files, seed)


DECRO = Corpus(
    name="decro",
    title="DECRO",
    source="https://github.com/petrichorwq/DECRO-dataset",
    licence="CC BY 4.0",
    trials=trials,
    splits=("train", "validation", "test"),
    counts={"train": (14128, 35263), "validation": (9158, 22518), "test": (10415, 26899)},
    speech_of=frozenset(
        {
            "AISHELL-1",
            "AISHELL-2",
            "AISHELL-3",
            "Aidatatang_200zh",
            "LJSpeech",
            "MAGICDATA",
            "ST-CMDS",
            "VCTK",
        }
    ),
    write_demo=write_demo,
)
