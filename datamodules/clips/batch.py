"""What data modules give and Lightning modules take: batches of clips."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """A batch of clips, on the CPU or on the training device.

    A data set of features has no samples to give: `waveform` is then empty, (batch, channel, 0).

    Attributes:
        waveform: float32 (batch, channel, time) in [-1, 1].
        length: int64 (batch,), samples of each clip before padding; frames of features.
        target: int64 (batch,), or (batch, head) of a data set with several heads, class indices; -1 where unknown.
        index: int64 (batch,), row of each clip in its split; identifies duplicates across ranks.
        key: Utterance ids.
        attributes: Column name -> one value a clip.
        features: float32 (batch, channel, mel, frame) of a data set that has them in place of waveforms, what the
            front end would have made of those; else None.
    """

    waveform: Tensor
    length: Tensor
    target: Tensor
    index: Tensor
    key: list[str]
    attributes: dict[str, list[str]]
    features: Tensor | None = None
