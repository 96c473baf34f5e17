"""Rows of a data set and batches of waveforms: where data modules and Lightning modules meet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Clip:
    """One row of a data set's protocol.

    Attributes:
        key: The data set's own utterance or file id, unique within a split.
        path: Audio file.
        target: Class index, or -1 where the label is unknown.
        attributes: What evaluation groups by, e.g. ``{"attack": "A07", "codec": "none"}``.
        start_s: Where the clip begins in its file, in seconds.
        stop_s: Where it ends; None is the end of the file.
    """

    key: str
    path: str
    target: int = -1
    attributes: Mapping[str, str] = field(default_factory=dict)
    start_s: float = 0.0
    stop_s: float | None = None


class Batch(NamedTuple):
    """A batch of clips, on the CPU or on the training device.

    Attributes:
        waveform: float32 (batch, channel, time) in [-1, 1].
        length: int64 (batch,), samples of each clip before padding.
        target: int64 (batch,), class indices; -1 where unknown.
        index: int64 (batch,), row of each clip in its split; identifies duplicates across ranks.
        key: Utterance ids.
        attributes: Column name -> one value a clip.
    """

    waveform: Tensor
    length: Tensor
    target: Tensor
    index: Tensor
    key: list[str]
    attributes: dict[str, list[str]]
