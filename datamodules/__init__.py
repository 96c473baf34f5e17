"""What comes in: data sets on disk become batches of waveforms."""

from datamodules.asvspoof import ASVspoof
from datamodules.base import ClipDataModule
from datamodules.clips import Batch, Clip

__all__ = ["ASVspoof", "Batch", "Clip", "ClipDataModule"]
