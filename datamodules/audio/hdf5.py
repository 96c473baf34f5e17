"""HDF5 files of whole tracks, one float dataset a track, as AudioSlowFast's wav_to_hdf5.py writes them.

A track is named as if the file were a folder: ``EPIC-KITCHENS-100_audio.hdf5/P01_11``. The file is opened for every
read, which takes 0.3 ms: a handle kept open would be shared by forked workers.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from datamodules.audio.errors import fail

SAMPLE_RATE = 24000
"""Rate in Hz of tracks that carry no attribute ``sample_rate``: AudioSlowFast's files of EPIC-KITCHENS."""


class Track:
    """An open track, mono.

    Attributes:
        num_channels: 1.
        num_frames: Its samples.
        sample_rate: In Hz.
    """

    num_channels = 1

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        self.num_frames = len(dataset)
        self.sample_rate = int(dataset.attrs.get("sample_rate", SAMPLE_RATE))

    def read(self, start: int, frames: int | None) -> NDArray[np.float32]:
        """Samples (1, time) from `start` on, fewer than `frames` where the track ends; no others leave the disk."""
        stop = None if frames is None else start + frames
        return self._dataset[start:stop].astype(np.float32, copy=False)[np.newaxis]


def is_track(path: str | Path) -> bool:
    """Whether a path leads into a file as if it were a folder."""
    return _is_file(os.path.dirname(path))  # noqa: PTH120  a Path takes longer than the look-up


@lru_cache(maxsize=4096)
def _is_file(folder: str) -> bool:
    return Path(folder).is_file()  # asked once a folder, not once a clip


def track_names(path: str | Path) -> set[str]:
    """Names of the tracks in a file; `path` and a name after a slash is what `info` and `read` take.

    Raises:
        AudioError: If the file is not HDF5.
    """
    with _open(path, path) as file:
        return set(file)


@contextmanager
def open_track(path: str | Path) -> Iterator[Track]:
    """Open a track for reading.

    Raises:
        AudioError: If the file is not HDF5, holds no such track, or something else under that name; also when
            reading from the open track fails.
    """
    folder, name = os.path.split(path)
    with _open(folder, path) as file:
        yield Track(_dataset(file, name, path))


@contextmanager
def _open(file_path: str | Path, path: str | Path) -> Iterator[h5py.File]:
    """Open a file; faults are told of `path`, itself or a track in it."""
    try:
        with h5py.File(file_path, "r", locking=False) as file:  # network file systems often lack locks
            yield file
    except OSError as error:
        fault = str(error).splitlines()[0]
        fail(path, f"not readable as HDF5 ({fault})", "copy the file again or correct the path")


def _dataset(file: h5py.File, name: str, path: str | Path) -> h5py.Dataset:
    found = file.get(name)
    if found is None:
        fail(path, "no such track in the HDF5 file", "add it or correct the list that names it")
    if not isinstance(found, h5py.Dataset):
        fail(path, "a group, not a track", "write one float dataset a track at the top of the file")
    if found.ndim != 1 or found.dtype.kind != "f":
        fault = f"shape {found.shape} of type {found.dtype}, not a track"
        fail(path, fault, "write it as floats of shape (time,)")
    return found
