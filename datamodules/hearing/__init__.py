"""Whole files as a trained model hears them: the crops of its test, windows from beginning to end, what is odd."""

from datamodules.hearing.batches import Batches
from datamodules.hearing.condition import Condition
from datamodules.hearing.listening import Listening
from datamodules.hearing.pieces import End, Mark, Piece
from datamodules.hearing.sounds import Sounds

__all__ = ["Batches", "Condition", "End", "Listening", "Mark", "Piece", "Sounds"]
