"""Rows of a data set and batches of waveforms: where data modules and Lightning modules meet."""

from datamodules.clips.batch import Batch
from datamodules.clips.dataset import ClipDataset, Item, Padding, collate, pad
from datamodules.clips.table import Clip, ClipTable

__all__ = ["Batch", "Clip", "ClipDataset", "ClipTable", "Item", "Padding", "collate", "pad"]
