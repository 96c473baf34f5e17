"""Trainable tools of audio production."""

from lightning_modules.production.tagger import Tagger

__all__ = ["Tagger"]
