"""From rows to samples: decoded when asked for, or all at once into memory that loader workers share."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.audio import packed, reading
from datamodules.audio.errors import AudioError
from datamodules.clips.table import Clip, ClipTable
from datamodules.cpus import allowed_cpus


class Span(NamedTuple):
    """A part of a file: its rate in Hz, its first sample and the one after its last."""

    rate: int
    begin: int
    end: int


class Decoded(Protocol):
    """Clips whose samples are at hand; `Recordings` are such."""

    def span(self, index: int) -> Span:
        """Where clip `index` lies in its recording."""
        ...

    def read(self, index: int, part: Span) -> Tensor:
        """Samples (channel, time) of a part of that recording."""
        ...


def span(clip: Clip, *, allow_truncated: bool = False) -> Span:
    """Where a clip lies in its file, or in what there is of one that was cut off.

    Raises:
        AudioError: If the file cannot be used, or the clip is empty.
    """
    rate, num_frames, _ = reading.info(clip.path, allow_truncated=allow_truncated)
    begin = round(clip.start_s * rate)
    end = num_frames if clip.stop_s is None else min(round(clip.stop_s * rate), num_frames)
    if begin >= end:
        raise AudioError(
            f"{clip.path}: clip {clip.key} from {clip.start_s} s to {clip.stop_s or 'the end'} is empty:"
            f" the file lasts {num_frames / rate:.3f} s; correct the times or leave the clip out"
        )
    return Span(rate, begin, end)


def packed_lengths(clips: ClipTable, sample_rate: int) -> NDArray[np.int64]:
    """Samples of clips of packed files at `sample_rate`, int64 (clip,): as `span` has them, many at once.

    0 or less where a clip is empty or its file is not packed.
    """
    rates, num_frames = packed.headers(list(clips.paths))
    begins = np.rint(clips.starts_s * rates)
    ends = np.minimum(np.rint(clips.stops_s * np.maximum(rates, 1)), num_frames)
    return np.ceil((ends - begins) * sample_rate / np.maximum(rates, 1)).astype(np.int64)


def decode(
    path: str, part: Span, *, mono: bool, channel: int | None = None, allow_truncated: bool = False
) -> Tensor:
    """Decode a part of a file: float32 (channel, time) at the file's own rate, of the channels that `heard` leaves.

    Raises:
        AudioError: If the file cannot be used, or has no such channel.
    """
    size = part.end - part.begin
    waveform, _ = reading.read(path, part.begin, size, allow_truncated=allow_truncated)
    try:
        return heard(waveform, mono=mono, channel=channel)
    except ValueError as error:
        raise AudioError(f"{path}: {error}") from None


def heard(waveform: Tensor, *, mono: bool, channel: int | None = None) -> Tensor:
    """What is heard of (channel, time): one channel, or else, with `mono`, the mean of all, or all.

    Raises:
        ValueError: If there is no such channel.
    """
    if channel is not None:
        if channel >= len(waveform):
            raise ValueError(no_channel(len(waveform), channel))
        return waveform[channel : channel + 1]
    return waveform.mean(dim=0, keepdim=True) if mono and len(waveform) > 1 else waveform


def no_channel(num_channels: int, channel: int) -> str:
    """What is wrong where a recording lacks the channel that is to be heard, and the way out."""
    return (
        f"has {num_channels} channel{'s' * (num_channels > 1)}, and channel {channel}, counted from 0, is to be"
        " heard: correct data.channel"
    )


class Recordings:
    """Clips decoded once, by threads, into one tensor; any part of a clip is then a view of it.

    One tensor costs workers one shared block of memory, whatever their number: ten minutes of mono at 16 kHz
    take 38 MB.

    Args:
        clips: Rows of a split.
        mono: Average the channels.
        channel: The one that is heard, of several; None is all.
        allow_truncated: Take what there is of files that were cut off.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        *,
        mono: bool,
        channel: int | None = None,
        allow_truncated: bool = False,
    ) -> None:
        def load(clip: Clip) -> tuple[Span, Tensor]:
            part = span(clip, allow_truncated=allow_truncated)
            return part, decode(clip.path, part, mono=mono, channel=channel, allow_truncated=allow_truncated)

        with ThreadPoolExecutor(allowed_cpus() + 4) as pool:
            loaded = list(pool.map(load, clips))
        self._spans = [part for part, _ in loaded]
        self._channels = [waveform.shape[0] for _, waveform in loaded]
        sizes = [waveform.numel() for _, waveform in loaded]
        self._samples = torch.empty(sum(sizes))
        self._starts: list[int] = []
        start = 0
        for size in sizes:  # a clip's own tensor is freed as soon as it is copied: not twice the memory
            self._starts.append(start)
            self._samples[start : start + size] = loaded.pop(0)[1].flatten()
            start += size

    def span(self, index: int) -> Span:
        """Where clip `index` lay in its file."""
        return self._spans[index]

    def read(self, index: int, part: Span) -> Tensor:
        """Samples (channel, time) of a part of clip `index`: what `decode` gives, without a copy."""
        _, begin, end = self._spans[index]
        channels, start = self._channels[index], self._starts[index]
        waveform = self._samples[start : start + channels * (end - begin)].view(channels, -1)
        return waveform[:, part.begin - begin : part.end - begin]
