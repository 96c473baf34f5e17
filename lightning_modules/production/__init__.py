"""Trainable tools of audio production."""

from lightning_modules.production.denoiser import Denoiser
from lightning_modules.production.tagger import Tagger

__all__ = [
    "Denoiser",
    "Tagger",
]
