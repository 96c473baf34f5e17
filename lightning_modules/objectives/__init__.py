"""Losses and training strategies that any network can use."""

from lightning_modules.objectives.arcface import ArcFace
from lightning_modules.objectives.inter_frequency import InterFrequency
from lightning_modules.objectives.inter_instance import InterInstance
from lightning_modules.objectives.mixup import Mixup

__all__ = ["ArcFace", "InterFrequency", "InterInstance", "Mixup"]
