"""Decoding of what libsndfile does not recognise (MP4, M4A, WebM, ...), by FFmpeg."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datamodules.audio.errors import CHECK_COMMAND, NoAudioTrackError, fail

if TYPE_CHECKING:
    from av.container import InputContainer


# Playlists and text formats stay out: FFmpeg would follow the file names in them.
_FFMPEG_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,mp3,avi,asf,flv,mpegts,mpeg,amr,caf"


# Time stamps of some containers are rounded and shifted by the codec's delay: decoding from the beginning is
# exact and quick enough for clips; only beyond this does a seek pay.
_SEEK_FROM_S = 60.0


_PREROLL_S = 0.5  # decoders of lossy codecs need some packets before their output is right


@contextmanager
def open_container(path: str | Path) -> Iterator[tuple[InputContainer, Any]]:
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
        fail(path, f"not decodable as audio ({error.strerror})", "convert it to WAV or FLAC, or delete it")


def container_frames(container: InputContainer, stream: Any) -> int:
    """Samples per channel by the header: the duration times the rate."""
    import av

    if stream.duration is not None:
        return int(stream.duration * stream.time_base * stream.rate)
    return (container.duration or 0) * stream.rate // av.time_base


def read_container(path: str | Path, start: int, frames: int | None) -> tuple[NDArray[np.float32], int]:
    """Samples (channel, time) from `start` on, `frames` at most, and the rate in Hz."""
    stop = float("inf") if frames is None else start + frames
    with open_container(path) as (container, stream):
        parts = [np.zeros((stream.channels, 0), np.float32)]
        for position, block in decoded(container, stream, start):
            begin, end = max(start - position, 0), min(stop - position, block.shape[1])
            if begin < end:
                parts.append(block[:, begin : int(end)])
            if position + block.shape[1] >= stop:
                break
        return np.concatenate(parts, axis=1), stream.rate


def decoded(container: InputContainer, stream: Any, start: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
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
