"""Open and decode audio files.

The content of a file decides how it is read, never its name: libsndfile first (WAV, FLAC, Ogg, MP3, AIFF, ...), FFmpeg
for what libsndfile does not recognise, or would read in part. A path may lead into an HDF5 file of tracks as into a
folder, or name a file that `datamodules.pack` has packed.
"""

import contextlib
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from io import FileIO
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, NoReturn

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.audio import containers, hdf5, lengths, packed
from datamodules.audio.errors import AudioError, fail, fail_truncated
from datamodules.audio.extents import is_joined_ogg, missing_bytes, samples_of_last_page
from datamodules.audio.libsndfile import ends_well, missing_samples, open_soundfile
from datamodules.audio.mp3 import tagged_samples
from datamodules.audio.mpg123_messages import kept_back
from datamodules.files import is_special

SUFFIXES = frozenset(
    {
        ".wav",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".spx",
        ".mp3",
        ".mp2",
        ".aiff",
        ".aif",
        ".aifc",
        ".au",
        ".snd",
        ".w64",
    }
    | {".rf64", ".caf", ".wv", ".tta", ".ape", ".amr", ".ac3", ".sph", ".voc", ".wma"}
    | {".mp4", ".m4a", ".m4b", ".m4v", ".mov", ".webm", ".weba", ".mkv", ".mka", ".aac", ".3gp", ".3g2"}
    | {".avi", ".flv", ".mpg", ".mpeg"}
)
"""Names under which a folder is searched for audio."""

_NOT_FINITE = "holds NaN or infinite samples", "write it again from the source"
_UNKNOWN_LENGTH = 1 << 62
_SEEK_FROM_S = 60.0
# Behind a seek libmpg123 gives wrong samples until the bytes are there that frames borrow from earlier ones, 511 at
# most, or 255 at rates below 32 kHz: as many frames at the lowest bit rates.
_MP3_PREROLL = {True: 8 * 1152, False: 24 * 576}
_FEW = 3 * 1152  # samples of silence that encoders of MP3 add, which their tag takes off
_LFS = b"version https://git-lfs.github.com/spec/"
_FFMPEG = Lock()
_BLOCK_PARTS = 256  # frames of a codec in a block
_STEP = 1 << 18  # samples that are passed over at once where a file cannot be sought in


class AudioInfo(NamedTuple):
    """How much sound a file holds.

    Attributes:
        sample_rate: In Hz.
        num_frames: Samples per channel, as many as `read` gives.
        num_channels: At least 1.
    """

    sample_rate: int
    num_frames: int
    num_channels: int


class _Sound(NamedTuple):
    """What a file holds and how it is read.

    Attributes:
        info: What it holds.
        lacks: Samples that were cut off, None if nothing tells how many.
        by_ffmpeg: Whether FFmpeg decodes it, not libsndfile.
        last_seek: The last sample to which libsndfile seeks rightly.
        demuxer: FFmpeg's name of the container, where libsndfile knows it.
    """

    info: AudioInfo
    lacks: int | None
    by_ffmpeg: bool
    last_seek: int = 0
    demuxer: str | None = None


def info(path: str | Path, *, allow_truncated: bool = False) -> AudioInfo:
    """Look how much sound a file holds.

    The header tells, except where it cannot be relied on: such a file is decoded once, and its length is kept in the
    cache folder.

    Args:
        path: Any file that libsndfile or FFmpeg decodes.
        allow_truncated: Take what there is of a file that was cut off. Of PAF, PVF, IRCAM and raw streams (ADTS,
            AC-3, MP3 without a tag) nothing tells how long they should be: none of them counts as such.

    Raises:
        AudioError: If the file is missing, unreadable, not audio, empty or truncated.
    """
    with _open_stored(path) as stored:
        if stored is not None:
            found = AudioInfo(stored.sample_rate, stored.num_frames, stored.num_channels)
        else:
            found = _sound(path, allow_truncated).info
    if found.num_frames == 0:
        fail(path, "holds no samples (a header without audio)", "delete it or write it again")
    return found


def read(
    path: str | Path, start: int = 0, frames: int | None = None, *, allow_truncated: bool = False
) -> tuple[Tensor, int]:
    """Decode a part of a file; memory is bounded by that part, however long the file.

    Args:
        path: Any file that libsndfile or FFmpeg decodes.
        start: First sample.
        frames: Samples to decode; None reads to the end, and fewer come back where the file ends.
        allow_truncated: Take what there is of a file that was cut off.

    Returns:
        float32 (channel, time) at the file's own rate, nominally in [-1, 1], and that rate in Hz.

    Raises:
        AudioError: If the file cannot be decoded, is truncated, has nothing from `start` on, or holds NaN or infinity.
    """
    with _open_stored(path) as stored:
        if stored is not None:
            samples, rate = stored.read(start, frames), stored.sample_rate
        else:
            samples, rate = _decode(path, start, frames, allow_truncated)
    if samples.shape[1] == 0:
        fail(path, f"holds no samples from sample {start} on", "shorten the clip or delete the file")
    if not isinstance(stored, packed.PackedClip) and not np.isfinite(samples).all():  # packing has looked
        fail(path, *_NOT_FINITE)
    return torch.from_numpy(np.ascontiguousarray(samples)), rate


def blocks(
    path: str | Path, frames: int = 1 << 20, *, allow_truncated: bool = False
) -> Iterator[NDArray[np.float32]]:
    """Decode a whole file once from its beginning; memory is bounded by a block.

    Args:
        path: Any file that libsndfile or FFmpeg decodes.
        frames: Samples a block; those of films are shorter.
        allow_truncated: Take what there is of a file that was cut off.

    Yields:
        What `read` gives without `start`, piece by piece: (channel, time).

    Raises:
        AudioError: As `read`.
    """
    num_samples = 0
    with _open_stored(path) as stored:
        if stored is not None:
            places = range(0, stored.num_frames, frames)
            parts = (stored.read(place, min(frames, stored.num_frames - place)) for place in places)
            found = (part for part in parts if part.shape[1])  # of a film the header may promise more
        else:
            found = _blocks(path, frames, allow_truncated)
        for block in found:
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
def _open(path: str | Path) -> Iterator[FileIO]:
    if is_special(path):
        fail(path, "no regular file, but a pipe or a device", "remove it from the list or the folder")
    try:
        file = open(path, "rb", buffering=0)  # noqa: PTH123, SIM115  a Path takes longer
    except FileNotFoundError:
        fail(path, "no such file", "restore it or correct the list that names it")
    except PermissionError:
        fail(path, "not readable by this user", "give read permission with chmod")
    except IsADirectoryError:
        fail(path, "is a folder", "name an audio file")
    except OSError as error:
        fail(path, f"cannot be opened ({error.strerror})", "check the path and the disk")
    with file:
        yield file


def _sound(path: str | Path, allow_truncated: bool) -> _Sound:
    """What a file holds.

    Raises:
        AudioError: If it cannot be used, or was cut off and that is not allowed.
    """
    with _open(path) as file:
        status = os.fstat(file.fileno())
        found = _looked_at(os.fspath(path), status.st_size, status.st_mtime_ns, allow_truncated)
    if found.lacks != 0 and not allow_truncated:
        fail_truncated(path, found.info.num_frames, found.lacks)
    return found


@lru_cache(maxsize=1 << 16)  # a crop asks for the length, then for the samples, and again in the next epoch
def _looked_at(path: str, size: int, _: int, to_the_end: bool) -> _Sound:
    """What a file holds, as long as its size and time are these; `to_the_end` decodes its last sample."""
    if size == 0:
        fail(path, "is empty (0 bytes)", "copy or download it again")
    with _open(path) as file:
        missing = missing_bytes(file, size)
        sound = open_soundfile(file)
        header, promised, is_whole = AudioInfo(0, 0, 0), 0, True
        if sound is None and _is_lfs_pointer(file):
            fail(path, "a Git LFS pointer instead of the sound", "run `git lfs pull` where it was cloned")
        if sound is not None:
            with sound:
                header = AudioInfo(sound.samplerate, sound.frames, sound.channels)
                if sound.format == "MP3":
                    promised, is_whole = tagged_samples(file, size)
                elif sound.format == "OGG":
                    is_whole = not missing and not is_joined_ogg(file)
                elif sound.subtype.startswith("MPEG_LAYER"):  # in WAV, where libsndfile guesses
                    is_whole = False
                if is_whole and 0 < header.num_frames < _UNKNOWN_LENGTH:
                    if not to_the_end or missing or ends_well(sound):
                        lacks = missing_samples(sound, missing)
                        return _Sound(header, lacks, False, _last_seek(file, size, sound))
                    promised = header.num_frames
    try:
        known = {"promised": promised, "missing": missing}
        count = lengths.kept(lambda: _alone(containers.count, path, **known), path, "count", known)
        rate, num_frames, num_channels, lacks = count
    except AudioError:
        if missing:
            fail(path, "truncated, and what is there cannot be decoded", "copy or download it again")
        if sound is None or header.num_frames:
            raise
        return _Sound(header, 0, by_ffmpeg=False)  # a header alone
    if not is_whole and 0 < header.num_frames == promised <= num_frames < promised + _FEW:
        return _Sound(
            header, 0, by_ffmpeg=False, last_seek=promised
        )  # what lies behind an MP3's frames is no sound
    demuxer = "mp3" if sound is not None and sound.format == "MP3" else None
    return _Sound(AudioInfo(rate, num_frames, num_channels), lacks, by_ffmpeg=True, demuxer=demuxer)


def _is_lfs_pointer(file: FileIO) -> bool:
    file.seek(0)
    return file.read(len(_LFS)) == _LFS


def _last_seek(file: FileIO, size: int, sound: soundfile.SoundFile) -> int:
    if not sound.seekable():  # GSM and G.721 are decoded from the beginning
        return 0
    if sound.subtype != "VORBIS":
        return sound.frames
    # of the last page, libsndfile counts the samples back from an end that it takes for that of the last packet
    of_page = samples_of_last_page(file, size)
    return 0 if of_page is None else max(sound.frames - of_page - 1, 0)


def _decode(
    path: str | Path, start: int, frames: int | None, allow_truncated: bool
) -> tuple[NDArray[np.float32], int]:
    found, _, by_ffmpeg, last_seek, demuxer = _sound(path, allow_truncated)
    stop = found.num_frames if frames is None else min(start + frames, found.num_frames)
    if start >= stop:
        return np.zeros((found.num_channels, 0), np.float32), found.sample_rate
    if by_ffmpeg:
        mark = _mark_before(path, start, found.sample_rate)
        parts = _alone(list, containers.parts(path, start, stop, mark, demuxer))
        return np.concatenate(parts, axis=1), found.sample_rate
    with _opened(path) as sound:
        position = min(start, last_seek)
        while start - position > _STEP:
            _read_soundfile(path, sound, position, _STEP)
            position += _STEP
        samples = _read_soundfile(path, sound, position, stop - position)
        return samples[:, start - position :], found.sample_rate


def _alone(decode: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
    """Calls what decodes by FFmpeg, one thread at a time.

    Frames of some microseconds each, decoded by many at once, mostly hand the interpreter's lock from one to another:
    six threads take three times as long as one.
    """
    with _FFMPEG:
        return decode(*arguments, **settings)


def _mark_before(path: str | Path, start: int, rate: int) -> tuple[int, int] | None:
    """Where to begin decoding; None is the beginning, which is exact, and quick enough for clips."""
    if start <= _SEEK_FROM_S * rate:
        return None
    status = os.stat(path)  # noqa: PTH116  a Path takes longer
    found = _marks(os.fspath(path), status.st_size, status.st_mtime_ns)
    index = bisect_right(found, start, key=lambda mark: mark[1])
    return found[index - 1] if index else None


@lru_cache(maxsize=256)
def _marks(path: str, _size: int, _time: int) -> list[tuple[int, int]]:
    found = lengths.kept(lambda: _alone(containers.find_marks, path), path, "marks")
    return [(pts, position) for pts, position in found]


def _blocks(path: str | Path, frames: int, allow_truncated: bool) -> Iterator[NDArray[np.float32]]:
    found, _, by_ffmpeg, _, demuxer = _sound(path, allow_truncated)
    if by_ffmpeg:
        parts = containers.parts(path, 0, found.num_frames, demuxer=demuxer)
        while block := _alone(list, islice(parts, _BLOCK_PARTS)):  # and nobody waits while the caller has it
            yield np.concatenate(block, axis=1)
        return
    with _opened(path) as sound:
        for begin in range(0, found.num_frames, frames):
            yield _read_soundfile(path, sound, begin, min(frames, found.num_frames - begin))


@contextmanager
def _opened(path: str | Path) -> Iterator[soundfile.SoundFile]:
    with _open(path) as file:
        sound = open_soundfile(file)
        if sound is None:
            fail(path, "has changed while it was read", "try again")
        with sound:
            yield sound


def _read_soundfile(
    path: str | Path, sound: soundfile.SoundFile, start: int, wanted: int
) -> NDArray[np.float32]:
    """Samples (channel, time) from `start` on, or of a file that cannot be sought in, from where it was left."""
    # soundfile seeks once more behind all that it has read
    before = min(start, _MP3_PREROLL[sound.samplerate >= 32000]) if sound.format == "MP3" else 0
    try:
        with kept_back() if before else nullcontext():
            if sound.seekable() and sound.tell() != start - before:
                sound.seek(start - before)
            samples = sound.read(before + wanted, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        _tell_fault(path, f"decoding broke off ({error.error_string})")
    if len(samples) < before + wanted:
        _tell_fault(path, f"only {len(samples) - before} of {wanted} samples decoded")
    return np.asarray(samples[before:].T, np.float32)


def _tell_fault(path: str | Path, fault: str) -> NoReturn:
    """Raise `AudioError` for a file whose header is whole: by how much it is cut, or what else is wrong."""
    lacks: int | None = 0
    with contextlib.suppress(AudioError):
        found, lacks, *_ = _sound(path, allow_truncated=True)
    if lacks != 0:
        fail_truncated(path, found.num_frames, lacks)
    fail(path, fault, "copy or download it again")
