"""EnvSDD: environmental sounds and generators of audio from text and from audio (Yin et al., Interspeech 2025).

Layout: ``development/{real_audio,fake_audio/{TTA,ATA}/<generator>}/<data set>/<file>`` by ``datasplit_dev.csv``, and
``test/audio/<file>`` by ``test_metadata.csv``, as its authors' code reads them
(https://github.com/apple-yinhan/EnvSDD). Columns are taken by their places: the lists themselves could not be seen.
Each sound of the development list stands for itself and four made from it. Counts are those of the copy at
https://huggingface.co/datasets/EnvSDD/EnvSDD.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from datamodules.folders.sound_files import Part
from datamodules.protocol import Faults, ProtocolError, read_table
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.made import write_list, write_sounds
from datamodules.ssd.corpora.trees import home

_DEVELOPMENT, _TEST = "datasplit_dev.csv", "test_metadata.csv"
_GENERATORS = (("TTA", "audiogen"), ("TTA", "audioldm1"), ("TTA", "audioldm2"), ("ATA", "audioldm1"))
_PARTS: Mapping[str, Part] = {"train": "train", "validation": "validation"}
_KINDS = {"real": "real", "tta": "fake", "ata": "fake"}


def trials(root: Path, split: Part | None) -> Iterator[Trial]:
    """Sounds of the development list's part, or of the test list."""
    yield from _test(home(root, _TEST)) if split == "test" else _development(home(root, _DEVELOPMENT), split)


def _development(base: Path, split: Part | None) -> Iterator[Trial]:
    """Rows ``<file>,<data set>,...,<part>`` below a head."""
    faults = Faults()
    for place, row in _rows(base / _DEVELOPMENT, 3):
        file, dataset, part = row[0], row[1], row[-1]
        if part not in _PARTS:
            faults.add(place, f"part {part!r} is none of {', '.join(_PARTS)}", "correct the line")
        elif part == split:
            key = f"real_audio/{dataset}/{file}"
            yield Trial(place, key, f"{base}/development/{key}", "real", {"attack": "-", "dataset": dataset})
            for kind, generator in _GENERATORS:
                key = f"fake_audio/{kind}/{generator}/{dataset}/{file}"
                attributes = {"attack": f"{kind}/{generator}", "dataset": dataset}
                yield Trial(place, key, f"{base}/development/{key}", "fake", attributes)
    faults.refuse()


def _rows(path: Path, num_columns: int) -> Iterator[tuple[str, list[str]]]:
    """Rows below the head of a list of at least these columns."""
    rows = read_table(path)
    place, header = next(rows)
    if len(header) < num_columns:
        found = ", ".join(header)
        raise ProtocolError(
            f"{place}: columns {found} where {num_columns} or more were expected: take the corpus's own list"
        )
    return rows


def _test(base: Path) -> Iterator[Trial]:
    """Rows ``<file>,<source>,<data set>,<kind>,<generator>`` below a head."""
    faults = Faults()
    for place, row in _rows(base / _TEST, 5):
        file, _, dataset, kind, generator = row[:5]
        if kind not in _KINDS:
            faults.add(place, f"kind {kind!r} is none of {', '.join(_KINDS)}", "correct the line")
            continue
        attributes = {"attack": f"{kind.upper()}/{generator}", "dataset": dataset}
        yield Trial(place, file, f"{base}/test/audio/{file}", _KINDS[kind], attributes)
    faults.refuse()


def write_demo(root: Path, seed: int) -> None:
    """Two sounds for training, one for validation, each with four made from it, and six for test."""
    places = {f"{place}.wav": part for place, part in (("0", "train"), ("1", "train"), ("2", "validation"))}
    dataset = "UrbanSound8K"
    lines = [f"{file},{dataset},{part}" for file, part in places.items()]
    write_list(root / _DEVELOPMENT, ["file,dataset,usage", *lines])
    files = {f"real_audio/{dataset}/{file}": False for file in places}
    for kind, generator in _GENERATORS:
        files |= {f"fake_audio/{kind}/{generator}/{dataset}/{file}": True for file in places}
    write_sounds(root / "development", files, seed)
    kinds = [
        ("real", "real"),
        ("tta", "audiolcm"),
        ("real", "real"),
        ("tta", "tangoflux"),
        ("ata", "audioldm2"),
    ]
    lines = [f"{n}.wav,{n}.wav,Clotho,{kind},{model}" for n, (kind, model) in enumerate(kinds, start=3)]
    write_list(root / _TEST, ["file,source,dataset,kind,generator", *lines])
    write_sounds(
        root / "test" / "audio", {f"{n}.wav": k != "real" for n, (k, _) in enumerate(kinds, start=3)}, seed
    )


ENVSDD = Corpus(
    name="envsdd",
    title="EnvSDD",
    source="https://envsdd.github.io",
    licence="CC BY 4.0",
    trials=trials,
    splits=("train", "validation", "test"),
    counts={"train": (27811, 111244), "validation": (7942, 31768), "test": (4971, 34797)},
    speech_of=frozenset(
        {"Clotho", "DCASE 2023 Task 7", "TAU UAS 2019", "TUT SED 2016", "TUT SED 2017", "UrbanSound8K"}
    ),
    write_demo=write_demo,
)
