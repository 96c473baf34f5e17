"""Files as pieces to be scored, or the reason why one cannot be; what is long is decoded block by block."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from datamodules import audio
from datamodules.clips import Clip, ClipDataset
from datamodules.clips.recordings import Span, decode, heard, no_channel, span
from datamodules.hearing.condition import SILENT, Condition
from datamodules.hearing.listening import Listening
from datamodules.hearing.pieces import End, Mark, Piece
from datamodules.hearing.windows import windows

WHOLE_S = 60.0
"""Longest file that is held in memory, and the longest that a method of whole clips scores at once, in seconds."""

WINDOW_S = 10.0
"""Window of longer files for a method of whole clips, in seconds: a clip of DCASE."""

MIN_S = 0.005
"""Shortest file that is scored, in seconds: a click of fewer samples has no spectrum to speak of."""

_BLOCK = 1 << 20


class Sounds(IterableDataset[Piece | End]):
    """Every file as the pieces that the test hears, its windows, and an `End`; faulty ones end with the reason.

    Windows are as long as the crop of the test, from half a window to the next, and the last one ends with the file.
    A file that is no longer than the crop is one window. Where whole clips are scored, files beyond `WHOLE_S` have
    windows of `WINDOW_S` and no other piece.

    Args:
        clips: The files.
        listening: How the test cuts clips.
        min_samples: Samples of the shortest clip that has a score, at the rate of `listening`.
        num_channels: What the model was trained on, where channels are kept.
        share: Number of this process and of all, among which files are dealt.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        listening: Listening,
        *,
        min_samples: int = 1,
        num_channels: int | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.clips, self.listening, self.share = clips, listening, share
        self.min_s = max(MIN_S, min_samples / listening.sample_rate)
        self.num_channels = None if listening.mono else num_channels
        self._allowed = {"allow_truncated": listening.allow_truncated}
        self._source = _Source(listening)
        self._cut = ClipDataset([Clip("", "")], **listening.cut, recordings=self._source)

    @property
    def rows(self) -> range:
        """Numbers of the files of this process."""
        first, step = self.share
        return range(first, len(self.clips), step)

    def __iter__(self) -> Iterator[Piece | End]:
        rows = self.rows
        if (worker := get_worker_info()) is not None:
            rows = rows[worker.id :: worker.num_workers]
        for row in rows:
            yield from self.hear(row)

    def hear(self, row: int) -> Iterator[Piece | End]:
        """Pieces of one file, and its end."""
        clip, end = self.clips[row], End(row)
        try:
            for piece in self._pieces(clip, end):
                end.num_pieces += 1
                yield piece
        except audio.AudioError as error:
            end.fault = reason(error, clip.path)
        end.fault = end.fault or end.condition.fault(
            mono=self.listening.mono and self.listening.channel is None
        )
        yield end

    def _pieces(self, clip: Clip, end: End) -> Iterator[Piece]:
        """Pieces of a file; tells `end` what is found out about it."""
        place = self._place(clip, end)
        size = self._window_size(place)
        samples = _read(clip.path, place, **self._allowed) if end.seconds <= WHOLE_S else None
        is_longer, has_start = size < place.end - place.begin, False
        if self.listening.crop_s is not None or not is_longer:
            for piece in self._crops(clip, place, size, samples, end):
                has_start |= piece.mark.is_window
                yield piece
        blocks = _blocks(clip.path, place, **self._allowed) if samples is None else iter([samples.numpy()])
        heard = (self._take(block, end.condition) for block in blocks)
        if not is_longer:
            deque(heard, maxlen=0)
            return
        for first, window in windows(heard, size, size / 2):
            if first or not has_start:
                self._source.hold(clip.path, Span(place.rate, 0, size), torch.from_numpy(window))
                begin = place.begin + first
                piece = self._piece(clip, end.row, Span(place.rate, begin, begin + size))
                if piece.mark.is_window:
                    yield piece

    def _place(self, clip: Clip, end: End) -> Span:
        """Where a clip lies in its file.

        Raises:
            AudioError: It cannot be heard.
        """
        if clip.stop_s == self.listening.stop_s:  # where the test ends files, and not what the clip is of one
            clip = replace(clip, stop_s=None)
        place = span(clip, **self._allowed)
        end.seconds = (place.end - place.begin) / place.rate
        num_channels = audio.info(clip.path, **self._allowed).num_channels
        if self.num_channels is not None and num_channels != self.num_channels:
            raise audio.AudioError(
                f"{num_channels} channels where the model was trained on {self.num_channels}: mix it to as many"
            )
        channel = self.listening.channel
        if channel is not None and num_channels <= channel:
            raise audio.AudioError(no_channel(num_channels, channel))
        if end.seconds < self.min_s:
            raise audio.AudioError(f"too short: {end.seconds:.3g} s where {self.min_s:.3g} s are needed")
        return place

    def _window_size(self, place: Span) -> int:
        """Samples of a window at the rate of the file."""
        if self._cut.crop is not None:
            return math.ceil(self._cut.crop * place.rate / self.listening.sample_rate)
        num_samples = place.end - place.begin
        return num_samples if num_samples <= WHOLE_S * place.rate else round(WINDOW_S * place.rate)

    def _crops(self, clip: Clip, place: Span, size: int, samples: Tensor | None, end: End) -> Iterator[Piece]:
        """What the test hears; the first is a window too, where it is that of the file's beginning."""
        rate, begin, stop = place
        if self.listening.stop_s is not None:
            stop = min(begin + round(self.listening.stop_s * rate), stop)
        num_views = self.listening.num_views
        end.heard_s = min(stop - begin, num_views * size) / rate
        is_start = (num_views == 1 and stop - begin >= size) or size >= place.end - begin
        for view in range(num_views):
            self._source.hold(clip.path, Span(rate, begin, stop), samples, begin)
            yield self._piece(
                clip,
                end.row,
                Span(rate, begin, min(begin + size, stop)),
                draw=view * (2**64 - 1) // max(num_views - 1, 1),
                is_score=True,
                may_be_window=is_start and view == 0,
            )

    def _piece(
        self,
        clip: Clip,
        row: int,
        place: Span,
        *,
        draw: int = 0,
        is_score: bool = False,
        may_be_window: bool = True,
    ) -> Piece:
        """Cuts what `_source` holds."""
        item = self._cut[0, draw]._replace(clip=clip)
        is_window = may_be_window and bool(item.waveform.abs().max() >= SILENT)
        start_s, stop_s = place.begin / place.rate, place.end / place.rate
        return Piece(Mark(row, start_s, stop_s, is_score, is_window), item)

    def _take(self, block: NDArray[np.float32], condition: Condition) -> NDArray[np.float32]:
        mixed = condition.hear(block)
        if (channel := self.listening.channel) is not None:
            return block[channel : channel + 1]
        return mixed if self.listening.mono else block


class _Source:
    """What is cut next: samples at hand, or a file; `Decoded` for `ClipDataset`."""

    def __init__(self, listening: Listening) -> None:
        self.listening = listening
        self.path, self.place, self.samples, self.offset = "", Span(1, 0, 0), None, 0

    def hold(self, path: str, place: Span, samples: Tensor | None, offset: int = 0) -> None:
        """Takes the part `place` of a file, whose samples from `offset` on are at hand or still to be decoded."""
        self.path, self.place, self.samples, self.offset = path, place, samples, offset

    def span(self, index: int) -> Span:
        """All that is held."""
        return self.place

    def read(self, index: int, part: Span) -> Tensor:
        """Samples (channel, time) of a part."""
        if self.samples is None:
            allowed = self.listening.allow_truncated
            return decode(self.path, part, **self.listening.channels, allow_truncated=allowed)
        samples = self.samples[:, part.begin - self.offset : part.end - self.offset]
        return heard(samples, **self.listening.channels)


def _read(path: str, place: Span, *, allow_truncated: bool) -> Tensor:
    return audio.read(path, place.begin, place.end - place.begin, allow_truncated=allow_truncated)[0]


def _blocks(path: str, place: Span, *, allow_truncated: bool) -> Iterator[NDArray[np.float32]]:
    """A part of a file, piece by piece; a whole one is decoded once from its beginning."""
    num_frames = audio.info(path, allow_truncated=allow_truncated).num_frames
    if place.begin == 0 and place.end == num_frames:
        yield from audio.blocks(path, _BLOCK, allow_truncated=allow_truncated)
        return
    for begin in range(place.begin, place.end, _BLOCK):
        part = Span(place.rate, begin, min(begin + _BLOCK, place.end))
        yield _read(path, part, allow_truncated=allow_truncated).numpy()


def reason(error: audio.AudioError, path: str) -> str:
    """What is wrong with a file, without its name and without the command that lists all such files."""
    return str(error).removeprefix(f"{path}: ").removesuffix(f" ({audio.CHECK_COMMAND})")
