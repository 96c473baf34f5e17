"""M-AILABS: audiobooks in nine languages, genuine only (Solak, 2019); MLAAD says its sentences.

Layout: ``<language>/by_book/{female,male}/<speaker>/<book>/wavs/<file>``, without the speaker below ``mix``, by
https://github.com/imdatceleste/m-ailabs-dataset and the column ``original_file`` of MLAAD. Counts could not be
verified.
"""

from collections.abc import Iterator
from pathlib import Path

from datamodules.folders.sound_files import Part
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.made import write_sounds
from datamodules.ssd.corpora.trees import home, language, sounds, subfolders

LANDMARK = "*/by_book"
_LAYOUTS = ("<gender>/<speaker>/<book>/wavs/<file>", "mix/<book>/wavs/<file>")


def trials(root: Path, _split: Part | None) -> Iterator[Trial]:
    """Sounds such as ``en_US/by_book/male/elliot_miller/silent_bullet/wavs/silent_bullet_09_f000284.wav``."""
    base = home(root, LANDMARK)
    for spoken in subfolders(base):
        if (base / spoken / "by_book").is_dir():
            for sound in sounds(base, f"{spoken}/by_book", *_LAYOUTS):
                attributes = {"attack": "-", "language": language(spoken)}
                if sound.parts[0] != "mix":
                    attributes["speaker"] = sound.parts[1]
                yield Trial(sound.path, sound.key, sound.path, "bonafide", attributes)


def write_demo(root: Path, seed: int) -> None:
    """Two languages, two utterances each."""
    books = {
        "en_US/by_book/male/elliot_miller/silent_bullet": "silent_bullet_09_f00028",
        "de_DE/by_book/mix/auf_zwei_planeten": "auf_zwei_planeten_01_f00000",
    }
    files = [f"{place}/wavs/{name}{number}.wav" for place, name in books.items() for number in (4, 5)]
    write_sounds(root, dict.fromkeys(files, False), seed)


M_AILABS = Corpus(
    name="m_ailabs",
    title="M-AILABS",
    source="https://github.com/imdatceleste/m-ailabs-dataset",
    licence="BSD 3-clause style, also commercially",
    trials=trials,
    speech_of=frozenset({"M-AILABS"}),
    write_demo=write_demo,
)
