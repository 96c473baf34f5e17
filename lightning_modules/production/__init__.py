"""Trainable tools of audio production."""

from lightning_modules.production.aligner import TimeAligner
from lightning_modules.production.denoiser import Denoiser
from lightning_modules.production.effect import LearnedEffect
from lightning_modules.production.mapping import Mapper
from lightning_modules.production.tagger import Tagger
from lightning_modules.production.wavegan import Synthesizer

__all__ = [
    "Denoiser",
    "LearnedEffect",
    "Mapper",
    "Synthesizer",
    "Tagger",
    "TimeAligner",
]
