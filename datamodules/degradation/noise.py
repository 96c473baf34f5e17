"""Noise at a signal-to-noise ratio: of files, as MUSAN's, or drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from datamodules.audio.reading import info, read
from datamodules.audio.resampling import resample
from datamodules.degradation.signals import Signal, power, within_range

COLOURS = ("pink", "white")
"""Noise that needs no files; the first where nothing is said."""

_MOST_SILENT = 10  # files that may be silent where one is drawn, before that is a fault
_SILENCE = 1e-12  # power, -120 dB


@dataclass(frozen=True)
class Noise:
    """Noise over a clip.

    The ratio is that of the powers of clip and noise, both over the whole of what is given and all channels, which hear
    the same noise. Where the sum would be clipped, it is made softer as a whole. A silent clip stays as it is.

    Args:
        snr_db: Lowest and highest ratio in dB, between which it is drawn evenly.
        source: One of `COLOURS`, which are drawn, or files of noise.
    """

    snr_db: tuple[float, float]
    source: str | Sequence[Path] = COLOURS[0]

    def __call__(self, waveform: Signal, sample_rate: int, random: Generator) -> Signal:
        """(channel, time) -> the same with noise."""
        snr_db = random.uniform(*self.snr_db)
        size, loudness = waveform.shape[1], power(waveform)
        if loudness < _SILENCE:
            return waveform
        if isinstance(self.source, str):
            noise = _drawn(size, random, is_pink=self.source == "pink")
        else:
            noise = _of_file(self.source, size, sample_rate, random)
        gain = np.sqrt(loudness / power(noise)) * 10 ** (-snr_db / 20)
        return within_range(waveform + np.float32(gain) * noise)


def _drawn(size: int, random: Generator, *, is_pink: bool) -> Signal:
    """(1, time) of Gaussian noise, of pink noise falling by 3 dB an octave."""
    white = random.standard_normal(size)
    if not is_pink:
        return white.astype(np.float32)[None]
    spectrum = np.fft.rfft(white)
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    return np.fft.irfft(spectrum, size).astype(np.float32)[None]


def _of_file(files: Sequence[Path], size: int, sample_rate: int, random: Generator) -> Signal:
    """(1, time) from anywhere in one of the files, which is repeated where it is shorter."""
    for _ in range(_MOST_SILENT):
        path = files[int(random.integers(len(files)))]
        rate, num_frames, _ = info(path)
        wanted = -(-size * rate // sample_rate)
        begin = int(random.integers(max(num_frames - wanted, 0) + 1))
        samples, _ = read(path, begin, wanted)
        noise = resample(samples.mean(0), rate, sample_rate, "soxr_hq").numpy()
        if power(noise) > _SILENCE:
            return np.resize(noise, size)[None]
    raise ValueError(f"{path}: silent, as others before it: name another folder of noise")
