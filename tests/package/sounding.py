"""Scorers that hear how loud a sound is, and files for them."""

from typing import Any

import numpy as np
import soundfile
import torch

from datamodules.hearing import Listening
from lightning_modules.package.folder import Package
from lightning_modules.package.scorers import ClassScorer, Scorer
from lightning_modules.package.scorers.scorer import Aggregate

RATE = 8000
CROP_S = 0.5


class Loudness(Scorer):
    """Mean square of a clip."""

    meaning = "loudness"

    def __init__(self, over_windows: Aggregate = "max") -> None:
        super().__init__(torch.nn.Identity())
        self.over_windows = over_windows

    def forward(self, waveform, length=None):
        return waveform.square().mean((1, 2))


class Pitches(torch.nn.Module):
    """Logits of tones of 500, 1000 and 2000 Hz, by how loud they are."""

    def forward(self, waveform, length=None):
        spectrum = torch.fft.rfft(waveform[:, 0]).abs() / waveform.shape[-1]
        bins = (torch.tensor([500, 1000, 2000]) * waveform.shape[-1] / RATE).round().long()
        return 200 * spectrum[:, bins]


class Logits(torch.nn.Module):
    def forward(self, features):
        return type("Output", (), {"logits": features})


NAMES = ["rain", "dog", "horn"]


def package(scorer: Any = None, **listening: Any) -> Package:
    """A package of half-second crops."""
    settings = {"sample_rate": RATE, "crop_s": CROP_S, "padding": "repeat", "mono": True, **listening}
    return Package(scorer=scorer or Loudness(), listening=Listening(**settings))


def classifier(**listening):
    """One that tells three tones apart."""
    return package(ClassScorer(Logits(), Pitches(), heads={"class": NAMES}), **listening)


def tagger(**listening):
    """One that hears each of three tones beside the others; 0 is a probability of a half."""
    heads = {name: [f"no {name}", name] for name in NAMES}
    return package(ClassScorer(Logits(), Pitches(), heads=heads, is_multi_tag=True), **listening)


def tone(seconds, pitch=500, level=0.25, rate=RATE):
    """Samples of a sine."""
    return level * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)


def write(path, *parts, rate=RATE):
    """Writes parts one behind the other; returns the path."""
    soundfile.write(path, np.concatenate(parts), rate)
    return path
