"""From rows to batches of waveforms: decoding, cropping, degrading, padding."""

import hashlib
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.audio.resampling import Resampler, resample
from datamodules.clips.batch import Batch
from datamodules.clips.recordings import Decoded, Span, decode, packed_lengths, span
from datamodules.clips.table import Clip, ClipTable

Padding = Literal["repeat", "zero", "mirror"]


class Item(NamedTuple):
    """One decoded clip: waveform (channel, time), length before padding, row, and the row's number.

    Of a data set of features, see `Batch`, the waveform is (channel, 0), `features` are (channel, mel, frame), and the
    length counts frames.
    """

    waveform: Tensor
    length: int
    clip: Clip
    index: int
    features: Tensor | None = None


class Degradation(Protocol):
    """What is done to waveforms before a method hears them; `datamodules.degradation.Chain` is such."""

    def __call__(self, waveform: Tensor, sample_rate: int, seeds: Sequence[int]) -> Tensor:
        """(channel, time) -> as long and as late; the seeds alone decide what is drawn."""
        ...


class ClipDataset(Dataset[Item]):
    """Decode, resample, crop, degrade and pad clips.

    An item is asked for as ``(index, draw)``: the 64-bit integer `draw` alone places the crop, evenly over
    the places where it fits (0 is the beginning), and decides how it is degraded, so that data depend on neither
    workers, ranks nor resumption.

    Args:
        clips: The rows.
        sample_rate: What every waveform is resampled to, in Hz.
        crop_s: Length of the crop in seconds; None takes whole clips.
        padding: How a clip shorter than the crop, or than its header says, is filled, see `pad`.
        mono: Average the channels; otherwise keep them.
        channel: The one that is heard alone, of several, counted from 0; None is all.
        resampler: By what, see `datamodules.audio.resample`.
        allow_truncated: Take what there is of files that were cut off.
        recordings: The clips decoded before; without them every item is decoded when it is asked for.
        degrade: What is done to a crop, another time differently.
        condition: What is done to a whole clip before it is cropped, always in the way that its key decides.

    Attributes:
        equal: Whether all items are equally long: batches need no padding, and no order by length.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        *,
        sample_rate: int = 16000,
        crop_s: float | None = None,
        padding: Padding = "repeat",
        mono: bool = True,
        channel: int | None = None,
        resampler: Resampler = "torchaudio",
        allow_truncated: bool = False,
        recordings: Decoded | None = None,
        degrade: Degradation | None = None,
        condition: Degradation | None = None,
    ) -> None:
        if crop_s is not None and not 1 <= crop_s * sample_rate < math.inf:
            raise ValueError(
                f"a crop of {crop_s} s holds no sample at {sample_rate} Hz: give a longer one or null"
            )
        self.sample_rate = sample_rate
        self.crop = None if crop_s is None else round(crop_s * sample_rate)
        self.equal = crop_s is not None
        self.padding: Padding = padding
        self._decoding = {"mono": mono, "channel": channel, "allow_truncated": allow_truncated}
        self.allow_truncated = allow_truncated
        self.resampler: Resampler = resampler
        self._recordings, self._degrade, self._condition = recordings, degrade, condition
        self._clips = clips if isinstance(clips, ClipTable) else ClipTable(clips)

    def __len__(self) -> int:
        return len(self._clips)

    def clip(self, index: int) -> Clip:
        """Row `index` of the split."""
        return self._clips[index]

    def __getitem__(self, item: tuple[int, int]) -> Item:
        index, draw = item
        rate, begin, end = self._span(index)
        size = self._length(rate, begin, end) if self.crop is None else self.crop
        if self._condition is not None:
            waveform = self._conditioned(index, draw, size)
        else:
            wanted = end - begin if self.crop is None else math.ceil(size * rate / self.sample_rate)
            spare = max(end - begin - wanted, 0)
            begin += draw * (spare + 1) >> 64
            waveform = self._resampled(index, Span(rate, begin, min(begin + wanted, end)))[:, :size]
            if self._degrade is not None:
                waveform = self._degrade(waveform, self.sample_rate, [draw])
        return Item(pad(waveform, size, self.padding), waveform.shape[1], self.clip(index), index)

    def _conditioned(self, index: int, draw: int, size: int) -> Tensor:
        """A crop of the degraded clip, (channel, time), `size` samples at most."""
        assert self._condition is not None
        seed = hashlib.sha256(self.clip(index).key.encode("utf-8", "surrogateescape")).digest()[:8]
        whole = self._resampled(index, self._span(index))
        whole = self._condition(whole, self.sample_rate, [int.from_bytes(seed)])
        begin = draw * (max(whole.shape[1] - size, 0) + 1) >> 64
        return whole[:, begin : begin + size]

    def _length(self, rate: int, begin: int, end: int) -> int:
        """Samples of a whole clip at the target rate."""
        return math.ceil((end - begin) * self.sample_rate / rate)

    def _span(self, index: int) -> Span:
        if self._recordings:
            return self._recordings.span(index)
        return span(self.clip(index), allow_truncated=self.allow_truncated)

    def _resampled(self, index: int, part: Span) -> Tensor:
        """A part of a clip's file at the target rate, (channel, time)."""
        return resample(self._decode(index, part), part.rate, self.sample_rate, self.resampler)

    def _decode(self, index: int, part: Span) -> Tensor:
        if self._recordings:
            return self._recordings.read(index, part)
        return decode(self._clips[index].path, part, **self._decoding)

    def lengths(self) -> np.ndarray:
        """int64 (clip,): samples of every clip at the target rate, from the headers of the files.

        Whole clips have exactly these: what a film lacks of its header's promise, or resampling, is filled.
        """

        def length(index: int) -> int:
            return self._length(*self._span(index))

        lengths = packed_lengths(self._clips, self.sample_rate)
        others = np.flatnonzero(lengths <= 0)
        with ThreadPoolExecutor(16) as pool:  # libsndfile and the disk work outside the interpreter's lock
            lengths[others] = np.fromiter(pool.map(length, others.tolist()), np.int64, len(others))
        return lengths


def pad(waveform: Tensor, length: int, padding: Padding) -> Tensor:
    """Fill (channel, time) up to `length` samples at the end.

    ``repeat`` continues with the clip again, ``zero`` with silence, ``mirror`` back and forth without repeating
    the samples at the turns, as centred short-time transforms do: where half a window or more is filled, the
    clip's own frames are those of the clip alone.
    """
    size = waveform.shape[1]
    if length <= size:
        return waveform
    if padding == "zero":
        return torch.nn.functional.pad(waveform, (0, length - size))
    if padding == "mirror":
        waveform = torch.cat([waveform, waveform[:, 1:-1].flip(1)], dim=1)  # one period of the continuation
    return waveform.repeat(1, math.ceil(length / waveform.shape[1]))[:, :length]


def collate(items: Sequence[Item], padding: Padding = "repeat") -> Batch:
    """Stack clips; shorter ones are padded to the longest by the rule.

    Raises:
        ValueError: If the clips differ in their number of channels.
    """
    longest = max(item.waveform.shape[1] for item in items)
    for item in items:
        if item.waveform.shape[0] != items[0].waveform.shape[0]:
            raise ValueError(
                f"{item.clip.path}: {item.waveform.shape[0]} channels beside {items[0].waveform.shape[0]} of"
                f" {items[0].clip.path}; average them with `mono: true`"
            )
    features = [item.features for item in items if item.features is not None]
    return Batch(
        waveform=torch.stack([pad(item.waveform, longest, padding) for item in items]),
        length=torch.tensor([item.length for item in items]),
        target=torch.tensor([item.clip.target for item in items]),
        index=torch.tensor([item.index for item in items]),
        key=[item.clip.key for item in items],
        attributes={
            name: [item.clip.attributes[name] for item in items] for name in items[0].clip.attributes
        },
        features=torch.stack(features) if features else None,
    )
