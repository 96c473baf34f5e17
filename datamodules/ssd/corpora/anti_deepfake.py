"""Lists of AntiDeepfake: any corpus with twelve columns, ``$ROOT`` in its paths, and its splits.

Source: https://github.com/nii-yamagishilab/AntiDeepfake, protocols.
"""

from collections.abc import Iterator
from pathlib import Path

from datamodules.demo.utterances import write_utterance
from datamodules.demo.vocoders import TRAINING_SYSTEMS
from datamodules.folders.sound_files import PARTS, Part
from datamodules.protocol import Faults
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.listed_files import FilesBelow, the_list, with_our_slashes
from datamodules.ssd.corpora.trees import read_columns

_COLUMNS = (
    "ID",
    "Label",
    "Duration",
    "SampleRate",
    "Path",
    "Attack",
    "Speaker",
    "Proportion",
    "AudioChannel",
    "AudioEncoding",
    "AudioBitSample",
    "Language",
)
_REQUIRED = ("ID", "Label", "Path", "Proportion")
_ATTRIBUTES = {"Attack": "attack", "Speaker": "speaker", "Language": "language"}
_UNKNOWN = {"-1", "nan"}  # what its scripts write of files that they did not find
_DEMO_LIST = "list.csv"


def anti_deepfake(name: str, list_: str | None) -> Corpus:
    """The corpus `name` by one list, with the splits ``train``, ``valid`` and ``test`` of its column ``Proportion``.

    ``$ROOT`` is the folder of the corpus, or one above it.

    Args:
        name: What it is called.
        list_: The list in its folder; None is the only CSV file there.
    """
    title = f"{name} (a list of AntiDeepfake)"

    def trials(root: Path, split: Part | None) -> Iterator[Trial]:
        files, faults = FilesBelow(root), Faults()
        for place, row in read_columns(the_list(root, list_, title=title), *_REQUIRED):
            part = PARTS.get(row["Proportion"].lower())
            file = with_our_slashes(row["Path"]).removeprefix("$ROOT").strip("/")
            if part is None:
                what = f"Proportion {row['Proportion']!r} is neither train, valid nor test"
                faults.add(place, what, "correct the line")
            elif part == split and not file:
                faults.add(place, f"{row['ID']} has no path", "write it, or remove the line")
            elif part == split:
                values = {ours: row.get(theirs, "") for theirs, ours in _ATTRIBUTES.items()}
                known = {ours: "" if value.lower() in _UNKNOWN else value for ours, value in values.items()}
                yield Trial(place, row["ID"], files.path(file), row["Label"], known)
        faults.refuse()

    return Corpus(
        name=name,
        title=title,
        source="https://github.com/nii-yamagishilab/AntiDeepfake",
        licence="that of the listed data set",
        trials=trials,
        splits=("train", "validation", "test"),
        write_demo=write_demo,
    )


def write_demo(root: Path, seed: int) -> None:
    """Ten utterances a split, two of them bona fide."""
    rows = [",".join(_COLUMNS)]
    for offset, part in enumerate(("train", "valid", "test")):
        for number, system in enumerate(["-", *TRAINING_SYSTEMS] * 2):
            speaker, key = 4 * offset + number % 4, f"{part}_{number}"
            write_utterance(
                root / part / f"{key}.wav",
                speaker=speaker,
                vocoder=TRAINING_SYSTEMS.get(system),
                seed=(seed, offset, number),
            )
            label = "real" if system == "-" else "fake"
            values = (label, "1.5", 16000, f"$ROOT//demo/{part}/{key}.wav", system, f"S{speaker}", part)
            rows.append(",".join(map(str, (f"DEMO-{key}", *values, 1, "PCM_S", 16, "EN"))))
    (root / _DEMO_LIST).write_text("\n".join(rows) + "\n", encoding="utf-8")
