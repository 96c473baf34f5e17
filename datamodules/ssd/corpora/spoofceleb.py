"""SpoofCeleb: celebrities' interviews and 23 systems trained on them (Jung et al., IEEE OJSP 2025).

Layout: ``metadata/{train,development,evaluation}.csv``, whose files lie below ``flac/<part>``, by its authors' card
(https://huggingface.co/datasets/jungjee/spoofceleb) and AntiDeepfake's ``protocols/SpoofCeleb.py``. Over 2.5 million
utterances of 1,251 speakers, whose numbers by part could not be verified.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from datamodules.folders.sound_files import Part
from datamodules.protocol import Faults
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.made import write_list, write_sounds
from datamodules.ssd.corpora.trees import home, read_columns

_BONAFIDE = "a00"
_ATTACKS = tuple(f"a{number:02}" for number in range(1, 24))
_PARTS: Mapping[Part | None, str] = {
    "train": "train",
    "validation": "development",
    "test": "evaluation",
}


def trials(root: Path, split: Part | None) -> Iterator[Trial]:
    """Rows ``file,speaker,attack``, such as ``a00/id10318/YYsxcZ5saac-00002-006.flac,id10318,a00``."""
    part, faults = _PARTS[split], Faults()
    base = home(root, *(f"metadata/{name}.csv" for name in _PARTS.values()))
    for place, row in read_columns(base / "metadata" / f"{part}.csv", "file", "speaker", "attack"):
        file, speaker, attack = row["file"], row["speaker"], row["attack"]
        if not file.startswith(f"{attack}/{speaker}/"):
            faults.add(place, f"{file} is not in {attack}/{speaker}", "correct the line")
            continue
        attributes = {"attack": attack, "speaker": speaker}
        yield Trial(place, file, f"{base}/flac/{part}/{file}", attack, attributes)
    faults.refuse()


def write_demo(root: Path, seed: int) -> None:
    """Of each part two genuine utterances and one of each of two systems, twice as many in training."""
    for part, speaker, attacks in (
        ("train", "id10011", ("a01", "a02") * 2),
        ("development", "id10318", ("a06", "a07")),
        ("evaluation", "id10270", ("a11", "a12")),
    ):
        systems = enumerate((*[_BONAFIDE] * len(attacks), *attacks))
        files = {f"{attack}/{speaker}/YYsxcZ5saac-00002-00{n}.flac": attack for n, attack in systems}
        lines = [f"{file},{speaker},{attack}" for file, attack in files.items()]
        write_list(root / "metadata" / f"{part}.csv", ["file,speaker,attack", *lines])
        write_sounds(
            root / "flac" / part, {file: attack != _BONAFIDE for file, attack in files.items()}, seed
        )


SPOOFCELEB = Corpus(
    name="spoofceleb",
    title="SpoofCeleb",
    source="https://jungjee.github.io/spoofceleb",
    licence="CC BY 4.0",
    trials=trials,
    splits=("train", "validation", "test"),
    speech_of=frozenset({"VoxCeleb1"}),
    labels={_BONAFIDE: "bonafide"} | dict.fromkeys(_ATTACKS, "spoof"),
    write_demo=write_demo,
)
