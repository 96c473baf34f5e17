"""Files as libsndfile sees them."""

import os
from contextlib import nullcontext
from io import FileIO

import soundfile

from datamodules.audio.mpg123_messages import kept_back

_SAMPLE_BYTES = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8} | {
    "ULAW": 1,
    "ALAW": 1,
    "DPCM_8": 1,
    "DPCM_16": 2,
}


def open_soundfile(file: FileIO) -> soundfile.SoundFile | None:
    """An open file as libsndfile sees it, None where that does not recognise the content."""
    file.seek(0)
    is_mp3 = file.read(3).startswith((b"ID3", b"\xff"))
    file.seek(0)
    with kept_back() if is_mp3 else nullcontext():
        try:
            return soundfile.SoundFile(file.fileno(), closefd=False)
        except soundfile.LibsndfileError:
            return None


def missing_samples(sound: soundfile.SoundFile, missing: int) -> int:
    """Samples in as many bytes; of a codec as many as in those that are there."""
    width = _SAMPLE_BYTES.get(sound.subtype)
    if width is None:
        there = os.fstat(sound.name).st_size
        return -(-missing * sound.frames // there)
    return -(-missing // (width * sound.channels))


def ends_well(sound: soundfile.SoundFile) -> bool:
    """Whether the last sample can be decoded."""
    try:
        return not sound.seekable() or (sound.seek(-1, soundfile.SEEK_END), len(sound.read(1)))[1] == 1
    except soundfile.LibsndfileError:
        return False
