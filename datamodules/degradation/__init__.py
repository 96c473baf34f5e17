"""What telephones, players, rooms and noise leave of clips: drawn for training, fixed for evaluation."""

from datamodules.degradation.chain import Chain

__all__ = ["Chain"]
