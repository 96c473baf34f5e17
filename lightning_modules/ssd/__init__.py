"""Synthetic speech detection: bona fide speech against text-to-speech and voice conversion."""

from lightning_modules.ssd.detector import SyntheticSpeechDetector

__all__ = ["SyntheticSpeechDetector"]
