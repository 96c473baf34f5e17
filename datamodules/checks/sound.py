"""What decoding a whole file tells: its length and rate, a hash of its sound, and what is odd about it."""

import hashlib
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from datamodules import audio
from datamodules.hearing.condition import CLIPPED, Condition

_CUT_S = 0.5  # a film's sound may end a little before its picture, which the header's duration is of
_SHORT_S = 0.02
_OFFSET = 1e-3  # of full scale
_OFFSET_OF_LEVEL = 0.2  # a hit of a drum has some by itself


class Sound(NamedTuple):
    """A file that can be decoded.

    Attributes:
        seconds: Its length.
        rate: In Hz.
        channels: Their number.
        constant: Whether all samples are alike, as in silence.
        digest: Hash of its samples.
        oddities: Kind -> what is odd, in words.
    """

    seconds: float
    rate: int
    channels: int
    constant: bool
    digest: str
    oddities: dict[str, str]


def listen(path: str, *, allow_truncated: bool = False) -> Sound | str:
    """Decode a whole file, or what there is of one that was cut off; a fault comes back as its message."""
    try:
        header = audio.info(path, allow_truncated=allow_truncated)
        digest, condition = hashlib.sha256(), Condition()
        sums = np.zeros(header.num_channels)
        for samples in audio.blocks(path, allow_truncated=allow_truncated):
            digest.update(samples.tobytes("F"))  # one moment after the other, whatever the blocks
            condition.hear(samples)
            sums += samples.sum(axis=1, dtype=np.float64)
    except audio.AudioError as error:
        return str(error).removesuffix(f" ({audio.CHECK_COMMAND})")
    decoded, rate = condition.num_samples, header.sample_rate
    if decoded < header.num_frames - _CUT_S * rate:  # of a film in a pack
        seconds = [f"{frames / rate:.2f}" for frames in (decoded, header.num_frames)]
        return f"{path}: truncated: {seconds[0]} of {seconds[1]} s decoded; copy or download it again"
    offset = float(np.abs(sums).max() / decoded)
    oddities = dict(_oddities(condition, offset, decoded / rate))
    return Sound(
        header.num_frames / rate,
        rate,
        header.num_channels,
        condition.is_constant,
        digest.hexdigest(),
        oddities,
    )


def _oddities(condition: Condition, offset: float, seconds: float) -> Iterator[tuple[str, str]]:
    """Kind and words; `offset` is the largest mean of a channel."""
    if seconds < _SHORT_S:
        yield "short", f"lasts {1000 * seconds:.2g} ms"
    if condition.is_silent:
        yield "silent", "is silent or constant"
        return
    power = condition.energy / (condition.num_samples * condition.num_channels)
    if condition.is_nearly_silent:
        yield "nearly silent", f"is nearly silent, at {10 * math.log10(power):.0f} dB of full scale"
    if condition.clipped >= CLIPPED:
        yield "clipped", f"is clipped: {condition.clipped:.2%} of its samples lie at full scale"
    if offset > max(_OFFSET, _OFFSET_OF_LEVEL * math.sqrt(max(power - offset**2, 0))):
        yield "direct current", f"has a constant offset of {offset:.3f}: take it off with a high-pass"
    if condition.is_anti_phase:
        yield (
            "anti-phase",
            "has channels that cancel each other: their average, which `mono` takes, is silent",
        )
