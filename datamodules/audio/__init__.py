"""Audio files as tensors: the only place that knows containers and codecs."""

from datamodules.audio.errors import CHECK_COMMAND, AudioError, NoAudioTrackError
from datamodules.audio.hdf5 import track_names
from datamodules.audio.reading import SUFFIXES, AudioInfo, blocks, info, read
from datamodules.audio.resampling import Resampler, resample

__all__ = [
    "CHECK_COMMAND",
    "SUFFIXES",
    "AudioError",
    "AudioInfo",
    "NoAudioTrackError",
    "Resampler",
    "blocks",
    "info",
    "read",
    "resample",
    "track_names",
]
