"""MLAAD: systems of synthesis in dozens of languages, and M-AILABS as its genuine side (Müller et al., IJCNN 2024).

Layout: ``fake/<language>/<system>/<file>`` and, in most of these folders, a list ``meta.csv``, separated by ``|``:
``path|original_file|language|is_original_language|duration|training_data|model_name|architecture|transcript``. By
https://deepfake-total.com/mlaad, AntiDeepfake's ``protocols/MLAAD.py`` and readers of the lists in public code. It is
spoofed only; where the root holds M-AILABS too (`m_ailabs`), as ``<root>/en_US`` or ``<root>/M-AILABS/en_US``, all of
that is genuine, and the two are one corpus. Versions differ by their systems, hence no counts.
"""

from collections.abc import Iterator
from pathlib import Path

from datamodules.audio.search import is_audio
from datamodules.folders.sound_files import Part
from datamodules.protocol import Faults, ProtocolError, lines
from datamodules.ssd.corpora import m_ailabs
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.made import write_list, write_sounds
from datamodules.ssd.corpora.trees import find_home, home, language, sounds, subfolders

_LIST = "meta.csv"
_HEADER = "path|original_file|language|is_original_language|duration|training_data|model_name|architecture|transcript"


def trials(root: Path, split: Part | None) -> Iterator[Trial]:
    """Sounds of every system's folder, by its list where it has one, and those of M-AILABS."""
    base = home(root, "fake")
    for spoken in subfolders(base / "fake"):
        for system in subfolders(base / "fake" / spoken):
            folder = f"fake/{spoken}/{system}"
            attributes = {"attack": system, "language": language(spoken)}
            if (base / folder / _LIST).is_file():
                yield from _listed(base, folder, attributes)
            else:
                for sound in sounds(base, folder, "<file>"):
                    yield Trial(sound.path, sound.key, sound.path, "fake", attributes)
    if genuine := find_home(root, m_ailabs.LANDMARK) or find_home(base, m_ailabs.LANDMARK):
        yield from m_ailabs.trials(genuine, split)


def _listed(base: Path, folder: str, attributes: dict[str, str]) -> Iterator[Trial]:
    """Rows of a list; of the path only the name is taken, for version 5 has folders there that do not exist."""
    rows, faults = lines(base / folder / _LIST), Faults()
    place, line = next(rows)
    header = line.split("|")
    if missing := [name for name in ("path", "architecture") if name not in header]:
        raise ProtocolError(
            f"{place}: no column {missing[0]!r}, found {', '.join(header)}: take the corpus's own list"
        )
    path, architecture = header.index("path"), header.index("architecture")
    for place, line in rows:
        values = line.split("|")
        name = values[path].rpartition("/")[2] if path < len(values) else ""
        if not is_audio(name):
            continue  # a transcript that goes on
        if len(values) < len(header):
            what = f"{len(values)} columns where {len(header)} were expected"
            faults.add(place, what, "take the corpus's own list")
            continue
        key = f"{folder}/{name}"
        yield Trial(place, key, f"{base}/{key}", "fake", {**attributes, "architecture": values[architecture]})
    faults.refuse()


def write_demo(root: Path, seed: int) -> None:
    """Two systems, one with a list, two utterances each, and M-AILABS."""
    files, lines = {}, [_HEADER]
    for system in ("de/tts_models_de_thorsten_vits", "en/tts_models_multilingual_multi-dataset_bark"):
        for number in (4, 5):
            name = f"silent_bullet_09_f00028{number}.wav"
            files[f"fake/{system}/{name}"] = True
            original = f"en_US/by_book/male/elliot_miller/silent_bullet/wavs/{name}"
            lines.append(f"./fake/{system}/{name}|{original}|en|True|1.5|unknown|bark|Bark|What is it?")
    write_list(root / "fake/en/tts_models_multilingual_multi-dataset_bark" / _LIST, [_HEADER, *lines[3:]])
    write_sounds(root, files, seed)
    m_ailabs.write_demo(root, seed)


MLAAD = Corpus(
    name="mlaad",
    title="MLAAD",
    source="https://deepfake-total.com/mlaad",
    licence="CC BY-NC 4.0",
    trials=trials,
    speech_of=frozenset({"M-AILABS"}),
    write_demo=write_demo,
)
