"""CodecFake: VCTK through neural codecs, spoofed only (Wu et al., Interspeech 2024).

Layout: ``<codec>+<speaker>_<sentence>.wav``, at the root, in ``processed`` or in a folder a codec, by AntiDeepfake's
``protocols/CodecFake.py``. The count is 15 times VCTK's 44,242 files, which its authors' table of 707,872 has too.
"""

from collections.abc import Iterator
from pathlib import Path

from datamodules.folders.sound_files import Part
from datamodules.protocol import Faults
from datamodules.ssd.corpora.corpus import Corpus, Trial
from datamodules.ssd.corpora.made import write_sounds
from datamodules.ssd.corpora.trees import sounds

_FOLDER = "processed"


def trials(root: Path, _split: Part | None) -> Iterator[Trial]:
    """Sounds by their names: ``encodec_24khz+p272_103.wav``."""
    faults = Faults()
    folder = _FOLDER if (root / _FOLDER).is_dir() else ""
    for sound in sounds(root, folder, "<file>", "<codec>/<file>"):
        codec, plus, rest = sound.parts[-1].partition("+")
        speaker, line, _ = rest.partition("_")
        if not (codec and plus and speaker and line):
            faults.add(sound.path, "no name such as encodec_24khz+p272_103.wav", "move other files away")
            continue
        attributes = {"attack": codec, "language": "en", "speaker": speaker}
        yield Trial(sound.path, sound.key, sound.path, "spoof", attributes)
    faults.refuse()


def write_demo(root: Path, seed: int) -> None:
    """Two codecs, two speakers each."""
    names = [
        f"{codec}+{speaker}_103"
        for codec in ("encodec_24khz", "audiodec_24k_320d")
        for speaker in ("p272", "p225")
    ]
    write_sounds(root, {f"{_FOLDER}/{name}.wav": True for name in names}, seed)


CODECFAKE = Corpus(
    name="codecfake",
    title="CodecFake (Wu et al.)",
    source="https://huggingface.co/datasets/rogertseng/CodecFake_wavs",
    licence="CC BY 4.0",
    trials=trials,
    counts={"all": (0, 663630)},
    speech_of=frozenset({"VCTK"}),
    write_demo=write_demo,
)
