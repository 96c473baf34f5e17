"""Sound files of every kind, as PyAV and soundfile write them."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

RATE = 16000


def noise(seconds: float, rate: int = RATE) -> np.ndarray:
    """Float64 (time,), louder and softer by turns, so that places can be told apart."""
    time = np.arange(round(seconds * rate)) / rate
    return (
        np.random.default_rng(0).uniform(-0.3, 0.3, time.size)
        * (0.6 + 0.4 * np.sin(2 * np.pi * 0.9 * time)) ** 2
    )


def chirp(seconds: float, rate: int = RATE) -> np.ndarray:
    """Float64 (time,), a tone that rises again and again: what codecs keep exactly enough to tell its place."""
    time = np.arange(round(seconds * rate)) / rate
    return 0.4 * np.sin(2 * np.pi * (300 * time + 150 * (time % 7) ** 2))


def encode(
    path: Path, codec: str, container: str | None, samples: np.ndarray, rate: int = RATE, **options: Any
) -> Path:
    """Write mono samples (time,) with FFmpeg; returns the path."""
    with av.open(str(path), "w", format=container, container_options=options) as out:
        stream: Any = out.add_stream(codec, rate=rate, layout="mono")
        formats = [found.name for found in stream.codec_context.codec.audio_formats or ()]
        stream.codec_context.format = next((name for name in formats if name.startswith("s16")), formats[0])
        step = stream.codec_context.frame_size or 4096
        convert = av.AudioResampler(
            format=stream.codec_context.format, layout="mono", rate=stream.codec_context.sample_rate
        )
        for begin in range(0, samples.size, step):
            block = np.ascontiguousarray(samples[None, begin : begin + step], np.float32)
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, begin
            for converted in convert.resample(frame):
                out.mux(stream.encode(converted))
        out.mux(stream.encode(None))
    return path


def write(path: Path, subtype: str, container: str, samples: np.ndarray, rate: int = RATE) -> Path:
    """Write mono samples (time,) with libsndfile; returns the path."""
    soundfile.write(path, samples, rate, subtype=subtype, format=container)
    return path
