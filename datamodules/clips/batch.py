"""What data modules give and Lightning modules take: batches of clips."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """A batch of clips, on the CPU or on the training device.

    In evaluation all clips have the crop's length or, where clips are whole, one length of their own, so that a clip's
    score does not depend on its neighbours. A data set of features has no samples to give: `waveform` is then empty,
    (batch, channel, 0).

    Attributes:
        waveform: float32 (batch, channel, time) in [-1, 1].
        length: int64 (batch,), samples of each clip before it was filled, to its crop or, where training takes whole
            clips, to the longest of the batch; frames of features.
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
