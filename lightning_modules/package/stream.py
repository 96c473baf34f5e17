"""Windows of a sound that is still coming in, each cut and scored as a clip of its own."""

import math
from collections.abc import Callable, Iterator
from itertools import count
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from datamodules import audio
from datamodules.audio.wav_stream import WavStream
from datamodules.clips import pad
from datamodules.clips.recordings import heard
from datamodules.hearing import Listening
from lightning_modules.package.eager import Eager
from lightning_modules.package.folder import Package


class Source(NamedTuple):
    """A stream of samples.

    Attributes:
        rate: In Hz.
        read: Number of samples -> float32 (channel, time), waiting for as many; fewer at the end of the stream.
    """

    rate: int
    read: Callable[[int], Tensor]


def open_source(stream: BinaryIO, *, pcm_rate: int | None) -> Source:
    """Opens a 16-bit WAV stream, or raw signed 16-bit little-endian mono samples of ``pcm_rate`` Hz.

    Raises:
        ValueError: It is neither.
    """
    if pcm_rate is not None:
        return Source(pcm_rate, lambda size: _samples(stream.read(2 * size), 1))
    try:
        file = WavStream(stream)
    except ValueError as error:
        raise ValueError(
            f"standard input is no WAV stream ({error}); give raw 16-bit samples and --rate, e.g. arecord -t raw -f"
            " S16_LE -r 16000 | ... --rate 16000 --stream -"
        ) from None
    if file.bits != 16:
        raise ValueError(f"WAV stream of {file.bits} bits on standard input: give 16 bits")
    return Source(file.sample_rate, lambda size: _samples(file.read(size), file.num_channels))


def _samples(content: bytes, num_channels: int) -> Tensor:
    samples = np.frombuffer(content, "<i2", count=len(content) // (2 * num_channels) * num_channels)
    return torch.from_numpy(samples.astype(np.float32) / 2**15).view(-1, num_channels).T


def windows(
    source: Source, *, window_s: float, hop_s: float, sample_rate: int
) -> Iterator[tuple[float, Tensor]]:
    """Yields start in seconds and samples (channel, time) of every whole window, as soon as it is heard.

    Args:
        source: The stream.
        window_s: Length of a window; a stream shorter than that is one window.
        hop_s: From window to window.
        sample_rate: Rate of the windows to come, in Hz: that many samples reach over ``window_s``.
    """
    size = math.ceil(round(window_s * sample_rate) * source.rate / sample_rate)
    heard, place = source.read(0), 0  # samples from `place` on
    for number in count():
        begin = round(number * hop_s * source.rate)
        missing = begin + size - place - heard.shape[1]
        block = source.read(missing) if missing > 0 else heard[:, :0]
        heard, place = torch.cat([heard, block], dim=1)[:, begin - place :], begin
        if block.shape[1] < missing:
            if number == 0 and heard.shape[1]:
                yield 0.0, heard
            return
        yield begin / source.rate, heard[:, :size]


@torch.inference_mode()
def score_stream(
    package: Package, source: Source, device: torch.device, *, window_s: float | None, hop_s: float | None
) -> Iterator[tuple[float, Tensor]]:
    """Yields start in seconds and score, () or (class,), of every window.

    Args:
        package: The model.
        source: The stream.
        device: Where to score.
        window_s: Length of a window, where the package has none of its own.
        hop_s: From window to window; None is half a window.

    Raises:
        ValueError: The package scores clips of one length, and another is asked for, or of any, and none is.
    """
    listening = package.listening
    if (window_s is None) == (listening.crop_s is None):
        wanted = (
            "whole clips: give --window_s" if window_s is None else f"{listening.crop_s} s: omit --window_s"
        )
        raise ValueError(f"the package scores {wanted}")
    length_s = window_s or listening.crop_s or 0.0
    score = Eager(package.scorer.to(device))
    rate = listening.sample_rate
    for start_s, window in windows(source, window_s=length_s, hop_s=hop_s or length_s / 2, sample_rate=rate):
        waveform, length = _clip(window, source.rate, listening, round(length_s * rate))
        yield start_s, score(waveform.to(device), length.to(device))[0].cpu()


def _clip(window: Tensor, rate: int, listening: Listening, size: int) -> tuple[Tensor, Tensor]:
    """A window (channel, time) as a batch of one clip of `size` samples, and its length before padding."""
    window = heard(window, **listening.channels)
    waveform = audio.resample(window, rate, listening.sample_rate, listening.resampler)[:, :size]
    return pad(waveform, size, listening.padding)[None], torch.tensor([waveform.shape[1]])
