"""Whole files as a trained model hears them: what is odd."""

from datamodules.hearing.condition import Condition

__all__ = ["Condition"]
