"""Folders as people have them: good sounds, and files that are bad in ten ways."""

import os
from pathlib import Path

import av
import numpy as np
import soundfile

GOOD, BAD = 180, 20
RATE = 22050


def write_folder(root: Path) -> dict[str, str]:
    """Writes 180 good files and 20 bad ones, at two depths; returns path and a word for each bad one."""
    random = np.random.default_rng(0)
    (root / "deep").mkdir(parents=True)
    hit = 0.3 * random.normal(size=4000) * np.exp(-np.arange(4000) / 800)
    for number in range(GOOD):
        folder, ending = root / ("deep" if number % 2 else ""), ("wav", "flac", "ogg")[number % 3]
        soundfile.write(folder / f"{number:03d}.{ending}", hit * random.uniform(0.3, 1), RATE)
    expected = {}
    for folder in ("", "deep/"):
        for name, (write, word) in _BAD.items():
            write(root / folder / name, hit)
            expected[f"{folder}{name}"] = word
    assert len(expected) == BAD
    return expected


def _sound(samples, **settings):
    return lambda path, hit: soundfile.write(path, samples(hit), RATE, **settings)


def _cut(path: Path, hit) -> None:
    soundfile.write(path, hit, RATE)
    path.write_bytes(path.read_bytes()[:5000])


def _film(path: Path, _hit) -> None:
    """A film without sound."""
    with av.open(str(path), "w") as film:
        stream = film.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for _ in range(3):
            film.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        film.mux(stream.encode(None))


_BAD = {
    "zero.wav": (lambda path, _: path.touch(), "0 bytes"),
    "text.mp3": (lambda path, _: path.write_text("no sound at all\n" * 50), ""),
    "cut.wav": (_cut, "truncated"),
    "empty.wav": (_sound(lambda hit: hit[:0]), "no samples"),
    "silent.flac": (_sound(lambda hit: 0 * hit), "silent"),
    "one.wav": (_sound(lambda hit: hit[:1]), "too short"),
    "opposite.wav": (_sound(lambda hit: np.stack([hit, -hit], axis=1)), "silent"),
    "nan.wav": (_sound(lambda hit: np.full_like(hit, np.nan), subtype="FLOAT"), "NaN"),
    "film.mp4": (_film, "audio"),
    "pipe.wav": (lambda path, _: os.mkfifo(path), "no regular file"),
}
