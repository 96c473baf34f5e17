"""Audio event classification: which sounds are heard in a clip, in one head of classes or several."""

from lightning_modules.event.classifier import EventClassifier

__all__ = ["EventClassifier"]
