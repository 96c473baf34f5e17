"""Open, decode and resample audio files: the only place that knows containers and codecs.

The content of a file decides how it is read, never its name: libsndfile first (WAV, FLAC, Ogg, MP3, AIFF,
...), FFmpeg for what libsndfile does not recognise (MP4, M4A, WebM, ...). A path may lead into an HDF5 file of
tracks as into a folder, or name a file that `datamodules.pack` has packed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
import soundfile
import torch
import torchaudio
from numpy.typing import NDArray
from torch import Tensor

from datamodules import hdf5, packed

if TYPE_CHECKING:
    from av.container import InputContainer

CHECK_COMMAND = "`python -m datamodules.check --config FILE` lists every bad file"
SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".w64"}
    | {".mp4", ".m4a", ".m4v", ".mov", ".webm", ".mkv", ".mka", ".aac", ".3gp"}
)
"""Names under which a folder is searched for audio."""

# Playlists and text formats stay out: FFmpeg would follow the file names in them.
_FFMPEG_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,mp3,avi,asf,flv,mpegts,mpeg,amr,caf"
# Time stamps of some containers are rounded and shifted by the codec's delay: decoding from the beginning is
# exact and quick enough for clips; only beyond this does a seek pay.
_SEEK_FROM_S = 60.0
_PREROLL_S = 0.5  # decoders of lossy codecs need some packets before their output is right
# Of a table of all kernels that occur; that of 44099 Hz to 16 kHz, which share no factor, would take gigabytes.
_MAX_KERNEL = 1 << 23
_ZERO_CROSSINGS = 6  # of the sinc on each side, as torchaudio has it
_NOT_FINITE = "holds NaN or infinite samples", "write it again from the source"


class AudioError(ValueError):
    """A file that cannot be used; one line that names the file and the way out."""


class NoAudioTrackError(AudioError):
    """A container without an audio track."""


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
        _fail(path, "holds no samples (a header without audio)", "delete it or write it again")
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
        _fail(path, f"holds no samples from sample {start} on", "shorten the clip or delete the file")
    if not isinstance(stored, packed.PackedClip) and not np.isfinite(samples).all():  # packing has looked
        _fail(path, *_NOT_FINITE)
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
            _fail(path, *_NOT_FINITE)
        num_samples += block.shape[1]
        yield block
    if not num_samples:
        _fail(path, "holds no samples", "delete it or write it again")


def resample(waveform: Tensor, source_rate: int, target_rate: int) -> Tensor:
    """Resample (..., time) by windowed sinc interpolation; the kernel of a pair of rates is built once.

    Returns:
        (..., ceil(time * target_rate / source_rate)), the input itself where the rates agree.
    """
    return waveform if source_rate == target_rate else _resampler(source_rate, target_rate)(waveform)


@lru_cache(maxsize=16)
def _resampler(source_rate: int, target_rate: int) -> Callable[[Tensor], Tensor]:
    divisor = math.gcd(source_rate, target_rate)
    source, target = source_rate // divisor, target_rate // divisor
    if source * target > _MAX_KERNEL:
        return partial(_resample_by_taps, source=source, target=target)
    return torchaudio.transforms.Resample(source_rate, target_rate)


def _resample_by_taps(waveform: Tensor, *, source: int, target: int) -> Tensor:
    """The sums of torchaudio's `Resample`, with the kernel of each sample instead of a table of all that can occur."""
    cutoff = 0.99 * min(source, target) / source
    reach = math.ceil(_ZERO_CROSSINGS / cutoff)
    padded = torch.nn.functional.pad(waveform, (reach, reach))
    taps = torch.arange(-reach, reach + 1, device=waveform.device)
    size = -(-waveform.shape[-1] * target // source)
    parts = []
    for place in torch.arange(size, device=waveform.device).split(1 << 16):
        whole, rest = place * source // target, place * source % target
        distance = (taps - rest.double()[:, None] / target) * cutoff
        distance = distance.clamp(-_ZERO_CROSSINGS, _ZERO_CROSSINGS)
        window = (distance * (math.pi / 2 / _ZERO_CROSSINGS)).cos().square()
        kernel = (cutoff * window * distance.sinc()).to(waveform.dtype)
        parts.append((padded[..., whole[:, None] + taps + reach] * kernel).sum(dim=-1))
    return torch.cat(parts, dim=-1)


def _fail(path: str | Path, fault: str, way_out: str) -> NoReturn:
    raise AudioError(f"{path}: {fault}; {way_out} ({CHECK_COMMAND})") from None


def track_names(path: str | Path) -> set[str]:
    """Names of the tracks in an HDF5 file; `path` and a name after a slash is what `info` and `read` take.

    Raises:
        AudioError: If the file is not HDF5.
    """
    try:
        return hdf5.track_names(path)
    except hdf5.TrackError as error:
        _fail(path, *error.args)


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
    except (packed.PackError, hdf5.TrackError) as error:
        _fail(path, *error.args)


@contextmanager
def _open(path: str | Path) -> Iterator[soundfile.SoundFile | None]:
    """Open with libsndfile, or give None where it does not recognise the content."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        _fail(path, "no such file", "restore it or correct the list that names it")
    except PermissionError:
        _fail(path, "not readable by this user", "give read permission with chmod")
    except OSError as error:
        _fail(path, f"cannot be opened ({error.strerror})", "check the path and the disk")
    try:
        _check_size(path, descriptor)
        try:
            file = soundfile.SoundFile(descriptor, closefd=False)
        except soundfile.LibsndfileError:
            yield None
        else:
            with file:
                yield file
    except IsADirectoryError:
        _fail(path, "is a folder", "name an audio file")
    finally:
        os.close(descriptor)


def _check_size(path: str | Path, descriptor: int) -> None:
    """Refuse empty files, and WAV files shorter than their header says: libsndfile would not tell."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        _fail(path, "is empty (0 bytes)", "copy or download it again")
    head = os.pread(descriptor, 12, 0)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        promised = int.from_bytes(head[4:8], "little")
        # Programs that write into a pipe leave 0 or the largest value; some forget the last padding byte.
        if promised < 0xFFFFFFF0 and promised + 8 > size + 1:
            _fail(path, f"truncated WAV: {size} of {promised + 8} bytes", "copy or download it again")


def _header(path: str | Path) -> AudioInfo:
    with _open(path) as file:
        if file is not None:
            return AudioInfo(file.samplerate, file.frames, file.channels)
        with _open_container(path) as (container, stream):
            return AudioInfo(stream.rate, _container_frames(container, stream), stream.channels)


def _decode(path: str | Path, start: int, frames: int | None) -> tuple[NDArray[np.float32], int]:
    with _open(path) as file:
        if file is None:
            return _read_container(path, start, frames)
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
            with _open_container(path) as (container, stream):
                yield from (block for _, block in _decoded(container, stream, 0))


def _read_soundfile(path: str | Path, file: soundfile.SoundFile, wanted: int) -> NDArray[np.float32]:
    try:
        samples = file.read(wanted, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        _fail(path, f"decoding broke off ({error.error_string})", "copy or download it again")
    if len(samples) < wanted:
        _fail(path, f"truncated: {len(samples)} of {wanted} samples decoded", "copy or download it again")
    return np.asarray(samples.T, np.float32)


@contextmanager
def _open_container(path: str | Path) -> Iterator[tuple[InputContainer, Any]]:
    """Open with FFmpeg; gives the container and its first audio stream."""
    import av  # a third of a second, for films and the like alone
    from av.error import FFmpegError

    options = {"format_whitelist": _FFMPEG_FORMATS, "protocol_whitelist": "file"}
    try:
        with av.open(str(path), options=options) as container:
            if not container.streams.audio:
                raise NoAudioTrackError(
                    f"{path}: has no audio track; leave the clip out of the list ({CHECK_COMMAND})"
                )
            yield container, container.streams.audio[0]
    except FFmpegError as error:
        _fail(path, f"not decodable as audio ({error.strerror})", "convert it to WAV or FLAC, or delete it")


def _container_frames(container: InputContainer, stream: Any) -> int:
    import av

    if stream.duration is not None:
        return int(stream.duration * stream.time_base * stream.rate)
    return (container.duration or 0) * stream.rate // av.time_base


def _read_container(path: str | Path, start: int, frames: int | None) -> tuple[NDArray[np.float32], int]:
    stop = float("inf") if frames is None else start + frames
    with _open_container(path) as (container, stream):
        parts = [np.zeros((stream.channels, 0), np.float32)]
        for position, block in _decoded(container, stream, start):
            begin, end = max(start - position, 0), min(stop - position, block.shape[1])
            if begin < end:
                parts.append(block[:, begin : int(end)])
            if position + block.shape[1] >= stop:
                break
        return np.concatenate(parts, axis=1), stream.rate


def _decoded(container: InputContainer, stream: Any, start: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Places and samples (channel, time) of consecutive blocks, from `start` or some place before it on."""
    import av

    rate, origin, position = stream.rate, stream.start_time or 0, 0
    if far := start > _SEEK_FROM_S * rate:
        container.seek(int((start / rate - _PREROLL_S) / stream.time_base) + origin, stream=stream)
    to_float = av.AudioResampler(format="fltp")
    for decoded in container.decode(stream):
        if far:  # the first frame tells where it is, the others follow on
            position, far = round(((decoded.pts or 0) - origin) * stream.time_base * rate), False
        for frame in to_float.resample(decoded):
            block = frame.to_ndarray().astype(np.float32, copy=False)
            yield position, block
            position += block.shape[1]
