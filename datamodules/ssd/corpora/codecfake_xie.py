"""Codecfake: VCTK and AISHELL-3 through seven neural codecs (Xie et al., IEEE TASLP 2025).

Layout: ``train/<file>``, ``dev/<file>`` and ``test/<condition>/<file>``, or ``<condition>/<file>``, with a list
``label/<part>.txt`` each, by its authors' page and AntiDeepfake's ``protocols/Codecfake.py``. The test split is what
there is of the conditions C1 to C7, in the attribute ``condition``; A1 to A3 are left out, for their lists could not
be verified. Counts follow from the authors' numbers of files, six codecs in training and 304,241 test files in Speech
DF Arena, which wants version 1 of the Zenodo record. By them C7 has all genuine speech, also that of training, through
an unseen codec.
"""

from collections.abc import Iterator
from pathlib import Path

from datamodules.folders.sound_files import Part
from datamodules.protocol import Faults, read_rows
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.made import write_list, write_sounds
from datamodules.ssd.corpora.trees import home

_CONDITIONS = tuple(f"C{number}" for number in range(1, 8))
_GENUINE, _CODECS = "0", tuple("1234567")


def trials(root: Path, split: Part | None) -> Iterator[Trial]:
    """Rows without a head: ``SSB13650058.wav real 0`` and ``F01_SSB13650058.wav fake 1``."""
    base = home(root, *(f"label/{name}.txt" for name in ("train", "dev", *_CONDITIONS)))
    if split == "test":
        there = [name for name in _CONDITIONS if (base / "label" / f"{name}.txt").is_file()]
        for condition in there or _CONDITIONS[:1]:
            folder = f"test/{condition}" if (base / "test" / condition).is_dir() else condition
            yield from _listed(base, condition, folder, {"condition": condition})
    else:
        part = "train" if split == "train" else "dev"
        yield from _listed(base, part, part, {})


def _listed(base: Path, name: str, folder: str, more: dict[str, str]) -> Iterator[Trial]:
    faults = Faults()
    for place, (file, label, codec) in read_rows(base / "label" / f"{name}.txt", num_columns=3):
        if codec not in (_GENUINE, *_CODECS) or (codec == _GENUINE) != (label == "real"):
            faults.add(place, f"{label} does not go with {codec}", "correct the line: real 0, or fake 1 to 7")
            continue
        attributes = {"attack": f"F0{codec}", **more}
        yield Trial(place, f"{name}/{file}", f"{base}/{folder}/{file}", label, attributes)
    faults.refuse()


def write_demo(root: Path, seed: int) -> None:
    """Genuine utterances, and each through a codec: four in training, two in development and in two conditions."""
    for offset, (part, codec) in enumerate((("train", 1), ("dev", 1), ("C1", 1), ("C7", 7))):
        lines, files = [], {}
        for number in range(58, 62 if part == "train" else 60):
            file = f"SSB136500{number}.wav"
            files |= {file: False, f"F0{codec}_{file}": True}
            lines += [f"{file} real 0", f"F0{codec}_{file} fake {codec}"]
        write_list(root / "label" / f"{part}.txt", lines)
        write_sounds(root / (f"test/{part}" if part in _CONDITIONS else part), files, seed + offset)


CODECFAKE_XIE = Corpus(
    name="codecfake_xie",
    title="Codecfake (Xie et al.)",
    source="https://github.com/xieyuankun/Codecfake",
    licence="CC BY-NC-ND 4.0",
    trials=trials,
    splits=("train", "validation", "test"),
    counts={"train": (105821, 634926), "validation": (13228, 79368), "test": (92596, 211645)},
    speech_of=frozenset({"AISHELL-3", "VCTK"}),
    write_demo=write_demo,
)
