"""In-the-Wild: public figures as they are found on the web (Müller et al., Interspeech 2022)."""

from collections.abc import Iterator
from pathlib import Path

from datamodules.demo.utterances import write_utterance
from datamodules.demo.vocoders import EVALUATION_SYSTEMS
from datamodules.folders.sound_files import Part
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.trees import home, read_columns

LIST = "meta.csv"


def trials(root: Path, _split: Part | None) -> Iterator[Trial]:
    """Rows ``file,speaker,label`` of ``meta.csv``, which lies beside the files."""
    base = home(root, LIST)
    for place, row in read_columns(base / LIST, "file", "speaker", "label"):
        name = row["file"]
        yield Trial(place, name, f"{base}/{name}", row["label"], {"speaker": row["speaker"]})


def write_demo(root: Path, seed: int) -> None:
    """Eight utterances of four speakers, every other one spoofed."""
    lines = ["file,speaker,label"]
    for number, vocoder in enumerate((None, *EVALUATION_SYSTEMS.values(), None, None, None)):
        write_utterance(root / f"{number}.wav", speaker=number % 4, vocoder=vocoder, seed=(seed, number))
        lines.append(f"{number}.wav,Speaker {number % 4},{'bona-fide' if vocoder is None else 'spoof'}")
    (root / LIST).write_text("\n".join(lines) + "\n", encoding="utf-8")


IN_THE_WILD = Corpus(
    name="in_the_wild",
    title="In-the-Wild",
    source="https://deepfake-total.com/in_the_wild",
    licence="Apache-2.0",
    trials=trials,
    counts={"all": (19963, 11816)},
    write_demo=write_demo,
)
