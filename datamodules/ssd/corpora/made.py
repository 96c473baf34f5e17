"""Sounds of a made corpus, for its demo: genuine speech, and the same through a vocoder."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from zlib import crc32

import soundfile

from datamodules.demo.utterances import write_utterance
from datamodules.demo.vocoders import EVALUATION_SYSTEMS, TRAINING_SYSTEMS

VOCODERS = (*TRAINING_SYSTEMS.values(), *EVALUATION_SYSTEMS.values())


def write_sounds(root: Path, spoofed: Mapping[str, bool], seed: int) -> None:
    """Write an utterance to each path below a root, spoofed or not; other names are other speech.

    Args:
        root: Of the corpus.
        spoofed: Path below the root -> whether a vocoder makes it, one of eight.
        seed: Of the voices and of what they say.
    """
    for name, fake in spoofed.items():
        path, number = root / name, crc32(name.encode())
        wave = path.with_suffix(".wav") if path.suffix == ".mp3" else path
        vocoder = VOCODERS[number // 4 % len(VOCODERS)] if fake else None
        write_utterance(wave, speaker=number % 4, vocoder=vocoder, seed=(seed, number))
        if wave != path:
            soundfile.write(path, *soundfile.read(wave))
            wave.unlink()


def write_list(path: Path, lines: Iterable[str]) -> None:
    """Write the lines of a list into a folder that may be new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
