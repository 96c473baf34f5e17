"""CVoiceFake: five languages of Common Voice through vocoders (Li et al., CCS 2024, with SafeEar).

Layout: ``<language>/{Bonafide,<system>_generated}/<file>`` by AntiDeepfake's ``protocols/CVoiceFake.py``. The small
edition has 23,544 genuine and 114,592 spoofed files; the numbers of the large one could not be verified.
"""

from collections.abc import Iterator
from pathlib import Path

from datamodules.folders.sound_files import Part
from datamodules.protocol import ProtocolError
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.made import write_sounds
from datamodules.ssd.corpora.trees import home, language, sounds, subfolders

_BONAFIDE, _ENDING = "Bonafide", "_generated"


def trials(root: Path, _split: Part | None) -> Iterator[Trial]:
    """Sounds such as ``EN/vctk_parallel_wavegan.v1_generated/common_voice_en_36752138_Gen.mp3``."""
    base = home(root, f"*/{_BONAFIDE}")
    for spoken in subfolders(base):
        systems = [name for name in subfolders(base / spoken) if name.endswith(_ENDING)]
        genuine = (base / spoken / _BONAFIDE).is_dir()
        if systems and not genuine:
            raise ProtocolError(f"{base}/{spoken}: has no folder {_BONAFIDE}: unpack the whole corpus")
        if not genuine:
            continue
        for folder in (_BONAFIDE, *systems):
            for sound in sounds(base, f"{spoken}/{folder}", "<file>"):
                attributes = {"attack": folder.removesuffix(_ENDING), "language": language(spoken)}
                label = "bonafide" if folder == _BONAFIDE else "spoof"
                yield Trial(sound.path, sound.key, sound.path, label, attributes)


def write_demo(root: Path, seed: int) -> None:
    """In each of two languages two genuine utterances, and each through a vocoder."""
    files = {}
    for spoken in ("en", "zh-CN"):
        for number in (8, 9):
            clip = f"common_voice_{spoken}_3675213{number}"
            files[f"{spoken}/{_BONAFIDE}/{clip}.mp3"] = False
            files[f"{spoken}/vctk_parallel_wavegan.v1{_ENDING}/{clip}_Gen.mp3"] = True
    write_sounds(root, files, seed)


CVOICEFAKE = Corpus(
    name="cvoicefake",
    title="CVoiceFake",
    source="https://safeearweb.github.io/Project",
    licence="CC BY 4.0",
    trials=trials,
    speech_of=frozenset({"Common Voice"}),
    write_demo=write_demo,
)
