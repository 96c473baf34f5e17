"""Decoding by FFmpeg: of what libsndfile does not recognise, and of what it would read wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.audio.errors import CHECK_COMMAND, AudioError, NoAudioTrackError, fail

if TYPE_CHECKING:
    from av import AudioFrame, Packet
    from av.container import InputContainer

# Playlists and text formats stay out: FFmpeg would follow the file names in them.
_FFMPEG_FORMATS = ",".join(
    (
        "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,flv,mpegts,mpeg,mxf,nut,rm,ogg",
        "wav,w64,aiff,au,caf,flac,wv,tta,ape,tak,mpc,mpc8,dsf,iff,voc,aac,mp3,ac3,eac3,dts,amr,qcp,oma,shn,spx",
    )
)

# A track of theirs has a duration in the header that a whole file fulfils; others estimate, or count the picture.
_DECLARES_DURATION = {"mov", "wav", "w64", "aiff", "au", "caf", "flac", "wv", "tta", "ape"}
_RAW = {"mp3", "aac", "wav"}  # what else lies behind their frames is no sound
_SLACK_S = 0.1  # frames of codecs and the time stamps of containers are no finer
_SPACING_S = 10.0  # between marks
_ALIKE = 5e-4  # of full scale

PREROLL_S = 0.5
"""Decoders of lossy codecs need some packets before their output is right."""


class Block(NamedTuple):
    """A frame of a codec: its time stamp, its first sample, counted from the beginning, and itself."""

    pts: int | None
    position: int
    frame: AudioFrame

    @property
    def end(self) -> int:
        """The sample after its last."""
        return self.position + self.frame.samples


class Track:
    """The first sound track of an open container, decoded from its beginning.

    Attributes:
        is_cut: Once it was decoded to its end, whether something of it was there that could not be decoded.
    """

    def __init__(self, path: str | Path, container: InputContainer, stream: Any) -> None:
        import av

        self._path, self._container, self._stream = path, container, stream
        self._num_bytes = 0  # that were decoded
        self._to_float = av.AudioResampler(format="fltp")
        self.is_cut = False

    def blocks(self) -> Iterator[Block]:
        """What the codec gives, in order; damaged packets are passed over where no sound lies on both sides.

        Gaps between time stamps count as nothing. One loop does it all: a second of sound has forty frames.

        Raises:
            AudioError: If sound goes on behind something that cannot be decoded: it would be moved. If the rate or the
                channels change.
        """
        from av.error import InvalidDataError

        position, kind = 0, None
        damaged = corrupt = False
        for packet in self._container.demux(self._stream):
            size = packet.size
            corrupt = packet.is_corrupt if size else corrupt
            try:
                frames = packet.decode()
            except InvalidDataError:
                damaged = damaged or (position > 0 and not _is_tag(packet))
                continue
            self._num_bytes += size
            if frames and damaged:
                fail(self._path, "damaged in the middle", "copy or download it again")
            for frame in frames:
                found = frame.sample_rate, frame.layout.nb_channels
                if found != (kind := kind or found):
                    change = f"{kind[0]} Hz of {kind[1]} channels become {found[0]} Hz of {found[1]}"
                    fail(self._path, f"{change} at sample {position}", "split it there")
                yield Block(frame.pts, position, frame)
                position += frame.samples
        self.is_cut = (damaged or corrupt) and self._container.format.name not in _RAW

    def samples(self, block: Block) -> NDArray[np.float32]:
        """Samples (channel, time) of a block."""
        if block.frame.format.name == "fltp":  # most are, and a second of sound has forty of them
            return _planes(block.frame)
        return np.concatenate([_planes(frame) for frame in self._to_float.resample(block.frame)], axis=1)

    def seek(self, pts: int) -> None:
        """Go on in front of a time stamp, far enough for the decoder to be right there."""
        self._container.seek(pts - int(PREROLL_S / self._stream.time_base), stream=self._stream)

    def promised(self, *, is_cut: bool) -> int:
        """Samples per channel that the header promises, 0 where it estimates; of a cut file by the longest track."""
        import av

        stream, names = self._stream, self._container.format.name.split(",")
        if stream.duration is not None and _DECLARES_DURATION.intersection(names):
            return int(stream.duration * stream.time_base * stream.rate)
        if is_cut and "matroska" in names:
            return (self._container.duration or 0) * stream.rate // av.time_base
        return 0

    def samples_in(self, missing: int, decoded: int) -> int:
        """Samples in bytes that a file lacks, as many as in those decoded; 0 where nothing tells.

        Of an Ogg file its last page alone tells what it lacks, and of a film the rest may be pictures.
        """
        if not self._num_bytes or len(self._container.streams) > 1 or self._container.format.name == "ogg":
            return 0
        return round(missing * decoded / self._num_bytes)


def _planes(frame: AudioFrame) -> NDArray[np.float32]:
    """Samples (channel, time) of a frame of planes of float32; PyAV's own way is slower by half."""
    planes = [np.frombuffer(plane, np.float32, frame.samples) for plane in frame.planes]  # pyright: ignore[reportArgumentType, reportCallIssue]
    return planes[0][None] if len(planes) == 1 else np.stack(planes)


def _is_tag(packet: Packet) -> bool:
    """Whether it is no sound, but the tag at the beginning of an MP3 file, which others were joined to."""
    head = bytes(packet)[:64]
    return b"Xing" in head or b"Info" in head


@contextmanager
def open_track(path: str | Path, demuxer: str | None = None) -> Iterator[Track]:
    """Open with FFmpeg.

    Args:
        path: What to open.
        demuxer: FFmpeg's name of the container, where it is known; to find it out takes longer than a second of sound.

    Raises:
        AudioError: If that fails here, or in decoding later on.
    """
    import av  # a third of a second, for films and the like alone
    from av.error import FFmpegError

    options = {"format_whitelist": _FFMPEG_FORMATS, "protocol_whitelist": "file"}
    try:
        with av.open(str(path), format=demuxer, options=options) as container:
            if not container.streams.audio:
                raise NoAudioTrackError(
                    f"{path}: has no audio track; leave the clip out of the list ({CHECK_COMMAND})"
                )
            yield Track(path, container, container.streams.audio[0])
    except FFmpegError as error:
        fail(path, f"not decodable as audio ({error.strerror})", "convert it to WAV or FLAC, or delete it")


class Count(NamedTuple):
    """What decoding a whole file found.

    Attributes:
        sample_rate: In Hz.
        num_frames: Samples per channel.
        num_channels: At least 1.
        lacks: Samples that were cut off, None if nothing tells how many.
    """

    sample_rate: int
    num_frames: int
    num_channels: int
    lacks: int | None


def count(path: str | Path, *, promised: int = 0, missing: int = 0) -> Count:
    """Decode a whole file and count.

    Args:
        path: What to decode.
        promised: Samples per channel that it should have, where that is known.
        missing: Bytes that it is known to lack.
    """
    with open_track(path) as track:
        num_frames, frame = 0, None
        for block in track.blocks():
            num_frames, frame = block.end, block.frame
        is_cut = missing > 0 or track.is_cut
        if frame is None:
            return Count(1, 0, 1, promised or (None if is_cut else 0))
        lacks = max((promised or track.promised(is_cut=is_cut)) - num_frames, 0)
        if lacks < _SLACK_S * frame.sample_rate:  # the header promises what is there
            lacks = (track.samples_in(missing, num_frames) or lacks or None) if is_cut else 0
        return Count(frame.sample_rate, num_frames, len(frame.layout.channels), lacks)


def parts(
    path: str | Path,
    start: int,
    stop: int,
    mark: tuple[int, int] | None = None,
    demuxer: str | None = None,
) -> Iterator[NDArray[np.float32]]:
    """Samples (channel, time) from `start` to `stop`, piece by piece, decoded from the beginning.

    Args:
        path: What to decode.
        start: First sample.
        stop: The one after the last.
        mark: Time stamp and place of a frame, not behind `start`, from which decoding can begin.
        demuxer: As in `open_track`.
    """
    with open_track(path, demuxer) as track:
        for block in track.blocks() if mark is None else from_mark(track, *mark):
            begin, end = block.position, block.end
            if end <= start:
                continue
            samples = track.samples(block)
            yield (
                samples
                if start <= begin and end <= stop
                else samples[:, max(start - begin, 0) : stop - begin]
            )
            if end >= stop:
                return


def from_mark(track: Track, pts: int, position: int) -> Iterator[Block]:
    """Blocks from the one on that has a time stamp; none where the seek does not find it."""
    track.seek(pts)
    begin = None
    for block in track.blocks():
        if begin is None and block.pts == pts:
            begin = block.position
        if begin is not None:
            yield block._replace(position=position + block.position - begin)
        elif block.pts is None or block.pts > pts:
            return


def find_marks(path: str | Path) -> list[tuple[int, int]]:
    """Time stamps and places of frames, ten seconds from one to the next, at which decoding may begin.

    Decoding anew from each gives what decoding from the beginning does, up to the next one. There are none where that
    is once different: where a container guesses its time stamps, or a codec remembers all that went before.
    """
    found: list[tuple[int, int]] = []
    with open_track(path) as track:
        since: list[NDArray[np.float32]] = []
        place = 0
        for block in track.blocks():
            if block.position >= place + _SPACING_S * block.frame.sample_rate and block.pts is not None:
                if found and not _is_right(path, found[-1], since):
                    return []
                found.append((block.pts, block.position))
                place, since = block.position, []
            since.append(track.samples(block))
    return found if found and _is_right(path, found[-1], since) else []


def _is_right(path: str | Path, mark: tuple[int, int], expected: list[NDArray[np.float32]]) -> bool:
    """Whether decoding from a mark on gives the samples that lie behind it."""
    samples, position = np.concatenate(expected, axis=1), 0
    try:
        for part in parts(path, mark[1], mark[1] + samples.shape[1], mark):
            there = samples[:, position : position + part.shape[1]]
            if np.abs(part - there).max(initial=0) > _ALIKE:
                return False
            position += part.shape[1]
    except AudioError:  # such as no seek at all
        return False
    return position == samples.shape[1]
