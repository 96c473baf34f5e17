"""Segments of a given length from clips that are shorter: joined at one level, cross-faded."""

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import numpy as np
from numpy.random import Generator

from datamodules import audio
from datamodules.asd.room.room_acoustics import RATE, Signal, rms
from datamodules.clips import Clip

_FADE_S = 0.05


def segments(
    clips: Sequence[Clip], num_samples: int, random: Generator
) -> Iterator[tuple[Signal, list[str]]]:
    """Endless segments of clips in random order, each used once before any is used again.

    A segment begins with a clip; where that is shorter, others follow at the first one's level.

    Yields:
        A segment (time,) at 16 kHz, and the names of its clips.
    """
    order = (clips[index].path for _ in count() for index in random.permutation(len(clips)))
    sounds = ((_load(path), Path(path).stem) for path in order)
    for segment, name in sounds:
        level, names = rms(segment), [name]
        while len(segment) < num_samples:
            following, name = next(sounds)
            segment = cross_fade(segment, following * (level / rms(following)))
            names.append(name)
        yield segment[:num_samples], names


def cross_fade(first: Signal, second: Signal) -> Signal:
    """Join two sounds (time,) over 50 ms with constant power, as fits sounds that have nothing in common."""
    size = min(round(_FADE_S * RATE), len(first), len(second) - 1)  # the joint is longer than the first
    angle = (np.arange(size) + 0.5) / max(size, 1) * np.pi / 2
    kept, fading = np.split(first, [len(first) - size])
    return np.concatenate([kept, fading * np.cos(angle) + second[:size] * np.sin(angle), second[size:]])


def _load(path: str) -> Signal:
    """A clip (time,) at 16 kHz, its channels averaged."""
    waveform, rate = audio.read(path)
    signal = audio.resample(waveform.mean(dim=0), rate, RATE).double().numpy()
    if not signal.any():
        raise audio.AudioError(f"{path}: is silent, no sound to simulate a machine of: delete the file")
    return signal
