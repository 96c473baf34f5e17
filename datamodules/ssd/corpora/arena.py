"""Lists of the Speech DF Arena: ``file_name,label``, whose paths are those of the machine that they were written on.

Source: https://github.com/Speech-Arena/speech_df_arena, protocol_files.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from datamodules.demo.utterances import write_utterance
from datamodules.demo.vocoders import EVALUATION_SYSTEMS
from datamodules.folders.sound_files import Part
from datamodules.protocol import Faults
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.listed_files import FilesBelow, the_list, with_our_slashes
from datamodules.ssd.corpora.trees import read_columns

_DEMO_LIST, _ELSEWHERE = "list.csv", "/data/data/AntiSpoofing-Datasets"


def arena(name: str, list_: str | None) -> Corpus:
    """The corpus `name`, all of one list: any of the arena's, or one with further columns, which are attributes.

    Files are looked for below the root by the end of their paths. Keys are the listed paths, absolute ones below the
    folder that all of them are in.

    Args:
        name: What it is called.
        list_: The list in its folder; None is the only CSV file there.
    """
    title = f"{name} (a list of the arena)"

    def trials(root: Path, _: Part | None) -> Iterator[Trial]:
        files, faults = FilesBelow(root), Faults()
        rows = []
        for place, row in read_columns(the_list(root, list_, title=title), "file_name", "label"):
            row["file_name"] = with_our_slashes(row["file_name"])
            if row["file_name"].strip("/"):
                rows.append((place, row))
            else:
                faults.add(place, "names no file", "write its path, or remove the line")
        faults.refuse()
        folder = _common_folder([row["file_name"] for _, row in rows if row["file_name"].startswith("/")])
        for place, row in rows:
            file, label = row.pop("file_name"), row.pop("label")
            yield Trial(place, file.removeprefix(folder), files.path(file), label, row)

    return Corpus(
        name=name,
        title=title,
        source="https://github.com/Speech-Arena/speech_df_arena",
        licence="that of the listed data set",
        trials=trials,
        write_demo=write_demo,
    )


def _common_folder(paths: list[str]) -> str:
    """The folder, with its last slash, that all of some absolute paths are in."""
    return f"{os.path.commonpath([os.path.dirname(path) for path in paths])}/" if paths else ""  # noqa: PTH120


def write_demo(root: Path, seed: int) -> None:
    """Eight utterances of four speakers, half of them spoofed, in folders that the list has elsewhere."""
    lines = ["file_name,label"]
    for number, vocoder in enumerate((None, *EVALUATION_SYSTEMS.values(), None, None, None)):
        label = "bonafide" if vocoder is None else "spoof"
        file = f"{'real' if vocoder is None else 'fake'}/file{number}.wav"
        write_utterance(root / file, speaker=number % 4, vocoder=vocoder, seed=(seed, number))
        lines.append(f"{_ELSEWHERE}/{file},{label}")
    (root / _DEMO_LIST).write_text("\n".join(lines) + "\n", encoding="utf-8")
