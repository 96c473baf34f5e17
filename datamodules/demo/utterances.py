"""Utterances of synthetic voices, as recorded, or through a vocoder first."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator

from datamodules.demo.signals import Signal, band, limit, write_sound
from datamodules.demo.speech import RATE, Speaker, compose, speak
from datamodules.demo.vocoders import Vocoder

_NOISE_DB, _LEVEL_DB, _LEVEL_SPREAD_DB = -42.0, -26.0, 3.0
_VOCODER_BAND = 4200.0, 5600.0


def write_utterance(path: Path, *, speaker: int, vocoder: Vocoder | None, seed: Sequence[int]) -> None:
    """Write an utterance of 1 to 2 s at 16 kHz; both classes are said, recorded and levelled alike.

    Args:
        path: The file, whose folder is made.
        speaker: Number of the voice, one of those that the first of `seed` draws.
        vocoder: What comes between voice and microphone; None leaves it bona fide.
        seed: Of all that is drawn.
    """
    voice = Speaker.draw(np.random.default_rng([seed[0], speaker]))
    random = np.random.default_rng(seed)
    score = compose(voice, random.uniform(1.0, 2.0), random)
    speech = speak(score, voice, random)
    if vocoder is not None:
        speech = vocoder(speech, score, random)
        highest = random.uniform(*_VOCODER_BAND)  # acoustic features commonly end below the Nyquist rate
        speech = band(speech, RATE, highest, order=12, kind="low")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sound(path, _record(speech, random), RATE)


def _record(speech: Signal, random: Generator) -> Signal:
    """A microphone's tilt, a room's noise, and a level that says nothing about the class."""
    speech = speech - speech.mean()
    highest = random.uniform(6600, 7900)
    tilted = np.convolve(speech, [1.0, random.uniform(-0.3, 0.3)])[: len(speech)]
    speech = band(tilted, RATE, highest, order=4, kind="low")
    noise = random.standard_normal(len(speech)) * 10 ** ((_NOISE_DB + random.uniform(-6, 6)) / 20)
    recording = speech / (speech.std() + 1e-9) + noise
    level = 10 ** ((_LEVEL_DB + random.uniform(-_LEVEL_SPREAD_DB, _LEVEL_SPREAD_DB)) / 20)
    return limit(recording * (level / recording.std()))
