"""Pairs of audio, what goes in and what should come out."""

from datamodules.production.pairs.pairs import Pair, PairBatch, PairDataModule, PairDataset, PairItem

__all__ = ["Pair", "PairBatch", "PairDataModule", "PairDataset", "PairItem"]
