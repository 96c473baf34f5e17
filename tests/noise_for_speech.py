"""Short noise in the place of made speech, whose synthesis takes longer than what tests of layouts do with it."""

from importlib import import_module

import numpy as np
import pytest
import soundfile

MODULES = ("anti_deepfake", "arena", "asvspoof_editions", "in_the_wild", "made")


def let_noise_stand_for_speech(patch: pytest.MonkeyPatch) -> None:
    """Made corpora hold 0.1 s of noise, each file its own, until the patch is undone."""
    for module in MODULES:
        patch.setattr(import_module(f"datamodules.ssd.corpora.{module}"), "write_utterance", _write_noise)


def _write_noise(path, *, speaker, vocoder, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).normal(0, 0.1, 1600), 16000)
