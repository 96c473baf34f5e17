"""The editions of ASVspoof as corpora: 2019 and 5 with splits of their own, 2021 as a test.

Counts are those of the papers: Wang et al., Computer Speech & Language 2020 (2019), Liu et al., IEEE/ACM TASLP 2023
(2021), Wang et al., ASVspoof Workshop 2024 (5).
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from datamodules.demo.utterances import write_utterance
from datamodules.demo.vocoders import EVALUATION_SYSTEMS, TRAINING_SYSTEMS, Vocoder
from datamodules.folders.sound_files import Part
from datamodules.ssd.asvspoof_layouts import LAYOUTS, Edition, Found, Layout, find, find_asv_scores
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.trees import find_home

_SYSTEMS: Mapping[Part, Mapping[str, Vocoder]] = {
    "train": TRAINING_SYSTEMS,
    "validation": TRAINING_SYSTEMS,
    "test": EVALUATION_SYSTEMS,
}
_LETTERS: Mapping[Part, str] = {"train": "T", "validation": "D", "test": "E"}


def _trials(edition: Edition, root: Path, split: Part | None) -> Iterator[Trial]:
    """Lines of a split's protocol, of 2021 those of the subset ``eval``."""
    assert split is not None
    for utterance in _find(edition, root, split).utterances(subset="eval"):
        yield Trial(*utterance)


def _asv_scores(edition: Edition, root: Path, split: Part) -> Path | None:
    return find_asv_scores(edition, split, _find(edition, root, split))


def _find(edition: Edition, root: Path, split: Part) -> Found:
    return find(edition, split, find_home(root, *LAYOUTS[edition][split].protocols) or root)


def _write_demo(edition: Edition, root: Path, seed: int) -> None:
    """Ten utterances a split, half of them spoofed, with as many columns as the protocol has."""
    for split, layout in LAYOUTS[edition].items():
        number = list(_SYSTEMS).index(split)
        lines = []
        for row, system in enumerate((*_SYSTEMS[split], *[None] * 5, next(iter(_SYSTEMS[split])))):
            key = f"{edition[-2:]}_{_LETTERS[split]}_{1_000_000 + row}"
            speaker = 4 * number + row % 4
            vocoder = _SYSTEMS[split][system] if system else None
            path = root / layout.folders[0] / f"{key}.flac"
            write_utterance(path, speaker=speaker, vocoder=vocoder, seed=(seed, number, row))
            lines.append(" ".join(_columns(layout, f"{edition[-2:]}_{speaker:04d}", key, system)))
        protocol = root / layout.protocols[0]
        protocol.parent.mkdir(parents=True, exist_ok=True)
        protocol.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _columns(layout: Layout, speaker: str, key: str, system: str | None) -> list[str]:
    num_columns, columns = next(iter(layout.columns.items()))
    said = {"speaker": speaker, "key": key, "attack": system or "-", "subset": "eval"}
    said["label"] = "spoof" if system else "bonafide"
    row = ["-"] * num_columns
    for name, column in columns.items():
        row[column] = said.get(name, "none" if name == "codec" else "-")
    return row


def _corpus(
    edition: Edition, title: str, source: str, counts: Mapping[str, tuple[int, int]], *speech_of: str
) -> Corpus:
    return Corpus(
        name=f"asvspoof_{edition.lower()}",
        title=f"ASVspoof {title}",
        source=source,
        licence="ODC-By 1.0",
        trials=partial(_trials, edition),
        splits=tuple(LAYOUTS[edition]),
        counts=counts,
        speech_of=frozenset(speech_of),
        write_demo=partial(_write_demo, edition),
        asv_scores=partial(_asv_scores, edition),
    )


_COUNTS_5 = {"train": (18797, 163560), "validation": (31334, 109616), "test": (138688, 542086)}
EDITIONS = (
    _corpus(
        "2019_LA",
        "2019 LA",
        "https://datashare.ed.ac.uk/handle/10283/3336",
        {"train": (2580, 22800), "validation": (2548, 22296), "test": (7355, 63882)},
        "VCTK",
    ),
    _corpus(
        "2019_PA",
        "2019 PA",
        "https://datashare.ed.ac.uk/handle/10283/3336",
        {"train": (5400, 48600), "validation": (5400, 24300), "test": (18090, 116640)},
        "VCTK",
    ),
    _corpus("2021_LA", "2021 LA", "https://zenodo.org/records/4837263", {"test": (14816, 133360)}, "VCTK"),
    _corpus(
        "2021_DF",
        "2021 DF",
        "https://zenodo.org/records/4835108",
        {"test": (14869, 519059)},
        "VCTK",
        "VCC 2018",
        "VCC 2020",
    ),
    _corpus("2021_PA", "2021 PA", "https://zenodo.org/records/4834716", {"test": (94068, 627264)}, "VCTK"),
    _corpus("5", "5", "https://zenodo.org/records/14498691", _COUNTS_5, "MLS"),
)
