"""ADD 2023 challenge, track 1.2 (detection of fake audio), second round of evaluation (Yi et al., 2023).

Layout: ``testR2/{label.txt,wav/<file>}`` by AntiDeepfake's ``protocols/ADD2023.py``. Speech DF Arena counts 118,477
utterances; neither the classes' shares nor whose speech it is could be verified.
"""

from collections.abc import Iterator
from pathlib import Path

from datamodules.folders.sound_files import Part
from datamodules.protocol import read_rows
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.made import write_list, write_sounds
from datamodules.ssd.corpora.trees import home

_LIST = "testR2/label.txt"


def trials(root: Path, _split: Part | None) -> Iterator[Trial]:
    """Rows without a head: ``ADD2023_T1.2R2_E_00000003.wav genuine``."""
    base = home(root, _LIST)
    for place, (file, label) in read_rows(base / _LIST, num_columns=2):
        yield Trial(place, file, f"{base}/testR2/wav/{file}", label, {"language": "zh"})


def write_demo(root: Path, seed: int) -> None:
    """Four utterances of each class."""
    files = {f"ADD2023_T1.2R2_E_{number:08}.wav": number % 2 == 0 for number in range(3, 11)}
    write_list(root / _LIST, [f"{name} {'fake' if fake else 'genuine'}" for name, fake in files.items()])
    write_sounds(root / "testR2" / "wav", files, seed)


ADD_2023 = Corpus(
    name="add_2023_round_2",
    title="ADD 2023 track 1.2, round 2",
    source="https://zenodo.org/records/12176326",
    licence="CC BY-NC-ND 4.0",
    trials=trials,
    splits=("test",),
    write_demo=write_demo,
)
