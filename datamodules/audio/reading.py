"""Open and decode audio files.

The content of a file decides how it is read, never its name: libsndfile first (WAV, FLAC, Ogg, MP3, AIFF,
...), FFmpeg for what libsndfile does not recognise. A path may lead into an HDF5 file of tracks as into a folder, or
name a file that `datamodules.pack` has packed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.audio import hdf5, packed
from datamodules.audio.containers import container_frames, decoded, open_container, read_container
from datamodules.audio.errors import fail

SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".w64"}
    | {".mp4", ".m4a", ".m4v", ".mov", ".webm", ".mkv", ".mka", ".aac", ".3gp"}
)
"""Names under which a folder is searched for audio."""

_NOT_FINITE = "holds NaN or infinite samples", "write it again from the source"


class AudioInfo(NamedTuple):
    """What the header of a file says.

    Attributes:
        sample_rate: In Hz.
        num_frames: Samples per channel; of a container, its duration times the rate.
        num_channels: At least 1.
    """

    sample_rate: int
    num_frames: int
    num_channels: int


def info(path: str | Path) -> AudioInfo:
    """Read the header of a file.

    Raises:
        AudioError: If the file is missing, unreadable, not audio, empty or truncated.
    """
    with _open_stored(path) as stored:
        if stored is not None:
            header = AudioInfo(stored.sample_rate, stored.num_frames, stored.num_channels)
        else:
            header = _header(path)
    if header.num_frames == 0:
        fail(path, "holds no samples (a header without audio)", "delete it or write it again")
    return header


def read(path: str | Path, start: int = 0, frames: int | None = None) -> tuple[Tensor, int]:
    """Decode a part of a file; memory is bounded by that part, however long the file.

    Args:
        path: Any file that libsndfile or FFmpeg decodes.
        start: First sample.
        frames: Samples to decode; None reads to the end, and fewer come back where the file ends.

    Returns:
        float32 (channel, time) at the file's own rate, nominally in [-1, 1], and that rate in Hz.

    Raises:
        AudioError: As `info`, and if decoding breaks off, yields nothing or yields NaN or infinity.
    """
    with _open_stored(path) as stored:
        if stored is not None:
            samples, rate = stored.read(start, frames), stored.sample_rate
        else:
            samples, rate = _decode(path, start, frames)
    if samples.shape[1] == 0:
        fail(path, f"holds no samples from sample {start} on", "shorten the clip or delete the file")
    if not isinstance(stored, packed.PackedClip) and not np.isfinite(samples).all():  # packing has looked
        fail(path, *_NOT_FINITE)
    return torch.from_numpy(np.ascontiguousarray(samples)), rate


def blocks(path: str | Path, frames: int = 1 << 20) -> Iterator[NDArray[np.float32]]:
    """Decode a whole file once from its beginning; memory is bounded by a block.

    Args:
        path: Any file that libsndfile or FFmpeg decodes.
        frames: Samples a block; those of films are shorter.

    Yields:
        What `read` gives without `start`, piece by piece: (channel, time).

    Raises:
        AudioError: As `read`.
    """
    num_samples = 0
    for block in _blocks(path, frames):
        if not np.isfinite(block).all():
            fail(path, *_NOT_FINITE)
        num_samples += block.shape[1]
        yield block
    if not num_samples:
        fail(path, "holds no samples", "delete it or write it again")


@contextmanager
def _open_stored(path: str | Path) -> Iterator[hdf5.Track | packed.PackedClip | None]:
    """Find samples that need no decoding, of a packed clip or a track of an HDF5 file; None for any other path."""
    try:
        if (clip := packed.find(path)) is not None:
            yield clip
        elif hdf5.is_track(path):
            with hdf5.open_track(path) as track:
                yield track
        else:
            yield None
    except packed.PackError as error:
        fail(path, *error.args)


@contextmanager
def _open(path: str | Path) -> Iterator[soundfile.SoundFile | None]:
    """Open with libsndfile, or give None where it does not recognise the content."""
    try:
        stored = open(path, "rb", buffering=0)  # noqa: PTH123, SIM115  a Path takes longer
    except FileNotFoundError:
        fail(path, "no such file", "restore it or correct the list that names it")
    except PermissionError:
        fail(path, "not readable by this user", "give read permission with chmod")
    except IsADirectoryError:
        fail(path, "is a folder", "name an audio file")
    except OSError as error:
        fail(path, f"cannot be opened ({error.strerror})", "check the path and the disk")
    with stored:
        _check_size(path, stored)
        try:
            file = soundfile.SoundFile(stored.fileno(), closefd=False)
        except soundfile.LibsndfileError:
            yield None
        else:
            with file:
                yield file


def _check_size(path: str | Path, stored: FileIO) -> None:
    """Refuse empty files, and WAV files shorter than their header says: libsndfile would not tell."""
    size = os.fstat(stored.fileno()).st_size
    if size == 0:
        fail(path, "is empty (0 bytes)", "copy or download it again")
    head = stored.read(12)
    stored.seek(0)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        promised = int.from_bytes(head[4:8], "little")
        # Programs that write into a pipe leave 0 or the largest value; some forget the last padding byte.
        if promised < 0xFFFFFFF0 and promised + 8 > size + 1:
            fail(path, f"truncated WAV: {size} of {promised + 8} bytes", "copy or download it again")


def _header(path: str | Path) -> AudioInfo:
    with _open(path) as file:
        if file is not None:
            return AudioInfo(file.samplerate, file.frames, file.channels)
        with open_container(path) as (container, stream):
            return AudioInfo(stream.rate, container_frames(container, stream), stream.channels)


def _decode(path: str | Path, start: int, frames: int | None) -> tuple[NDArray[np.float32], int]:
    with _open(path) as file:
        if file is None:
            return read_container(path, start, frames)
        wanted = max(file.frames - start, 0)
        wanted = wanted if frames is None else min(frames, wanted)
        if start and wanted:
            file.seek(start)
        return _read_soundfile(path, file, wanted), file.samplerate


def _blocks(path: str | Path, frames: int) -> Iterator[NDArray[np.float32]]:
    with _open(path) as file:
        if file is not None:
            for begin in range(0, file.frames, frames):
                yield _read_soundfile(path, file, min(frames, file.frames - begin))
        else:
            with open_container(path) as (container, stream):
                yield from (block for _, block in decoded(container, stream, 0))


def _read_soundfile(path: str | Path, file: soundfile.SoundFile, wanted: int) -> NDArray[np.float32]:
    try:
        samples = file.read(wanted, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        fail(path, f"decoding broke off ({error.error_string})", "copy or download it again")
    if len(samples) < wanted:
        fail(path, f"truncated: {len(samples)} of {wanted} samples decoded", "copy or download it again")
    return np.asarray(samples.T, np.float32)
