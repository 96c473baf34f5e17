"""Read clips of a packed data set: their samples lie one behind the other in a few large files.

A packed root, which `datamodules.pack` writes, is the data set's own without its audio files. ``shards/names.npy`` and
``shards/clips.npy`` list those, sorted by their path in the root, and ``shards/000000.bin``, ``000001.bin``, ... hold
samples as int16 where that gives what decoding gave to the last bit, else as float32, channels interleaved. The list is
mapped into memory, so that all processes of a node share it, and a shard is opened when a clip of it is read.
"""

import os
import weakref
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.audio.pack_cache import local_copy
from datamodules.strings import Strings

SHARDS = "shards"
"""Folder of the shards in a packed root."""

LOCK = ".lock"
"""File in it that the first run of `datamodules.pack` makes."""

CLIP = np.dtype(
    [
        ("name_end", np.int64),  # where its path ends in names.npy
        ("offset", np.int64),  # of its first sample in the shard, in bytes
        ("num_samples", np.int64),  # per channel
        ("num_frames", np.int64),  # what the header of the file promised
        ("shard", np.int32),
        ("sample_rate", np.int32),
        ("checksum", np.uint32),  # CRC-32 of its bytes
        ("num_channels", np.uint16),
        ("sample_bytes", np.uint16),  # 2 is int16, 4 is float32
    ]
)
"""A row of ``shards/clips.npy``."""

_DTYPES = {2: np.dtype(np.int16), 4: np.dtype(np.float32)}
_MOST_OPEN = 64  # shards a process


class PackError(ValueError):
    """A pack that cannot be used; its arguments are the fault and the way out."""


class PackedClip(NamedTuple):
    """Where one file's samples lie.

    Attributes:
        shard: File that holds them.
        offset: Of the first, in bytes.
        num_samples: Samples per channel.
        num_frames: What the header of the file promised; differs from `num_samples` for some films.
        sample_rate: In Hz.
        num_channels: At least 1.
        dtype: int16 or float32.
        checksum: CRC-32 of the samples' bytes.
    """

    shard: str
    offset: int
    num_samples: int
    num_frames: int
    sample_rate: int
    num_channels: int
    dtype: np.dtype[Any]
    checksum: int

    def read(self, start: int, frames: int | None) -> NDArray[np.float32]:
        """Samples (channel, time) from `start` on, nominally in [-1, 1], fewer than `frames` where the clip ends."""
        return to_float(self.stored(start, frames))

    def stored(self, start: int = 0, frames: int | None = None) -> NDArray[Any]:
        """Samples (time, channel) as they lie on disk.

        Raises:
            PackError: If the shard is missing or ends too early.
        """
        stop = self.num_samples if frames is None else min(start + frames, self.num_samples)
        samples = np.empty((max(stop - start, 0), self.num_channels), self.dtype)
        buffer, position = samples.reshape(-1).view(np.uint8).data, 0
        begin = self.offset + start * self.num_channels * self.dtype.itemsize
        shard = _open_shard(self.shard)
        while position < samples.nbytes:  # a call reads 2 GB at most
            count = shard.read_into(buffer[position:], begin + position)
            if not count:
                raise PackError(f"its shard {self.shard} is cut short", "copy the shard again")
            position += count
        return samples


class Pack:
    """The packed files of one root.

    Args:
        root: Folder that holds ``shards``.

    Raises:
        PackError: If the list of files is damaged.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / SHARDS
        try:
            content, clips = (
                np.asarray(np.load(self.folder / name, mmap_mode="r")) for name in ("names.npy", "clips.npy")
            )
        except Exception as error:  # of a damaged header NumPy lets Python's own parser complain
            raise PackError(f"{self.folder}: list of files not readable ({error})", WRITE_AGAIN) from None
        if clips.dtype != CLIP or content.dtype != np.uint8 or clips["name_end"][-1:].sum() != len(content):
            raise PackError(f"{self.folder}: clips.npy does not fit names.npy", WRITE_AGAIN)
        self.clips = clips
        self.names = Strings(clips["name_end"], content)

    def find(self, name: str) -> PackedClip | None:
        """The clip of a path in the root; None where it is not packed."""
        row = bisect_left(self.names, name)
        return self.clip(row) if row < len(self.names) and self.names[row] == name else None

    def clip(self, row: int) -> PackedClip:
        """The clip of row `row` in the order of paths."""
        _, offset, num_samples, num_frames, shard, rate, checksum, num_channels, size = self.clips[row].item()
        place = f"{self.folder}/{shard:06d}.bin"
        return PackedClip(place, offset, num_samples, num_frames, rate, num_channels, _DTYPES[size], checksum)

    def names_in(self, folder: str) -> list[str]:
        """Names of the packed files in a folder of the root, but not in folders below; ``""`` is the root."""
        prefix = f"{folder}/" if folder else ""
        row, found = bisect_left(self.names, prefix), []
        while row < len(self.names) and (path := self.names[row]).startswith(prefix):
            name, slash, _ = path[len(prefix) :].partition("/")
            if slash:  # on with what follows the folder: "0" comes after "/"
                row = bisect_left(self.names, f"{prefix}{name}0", row)
            else:
                found.append(name)
                row += 1
        return found


WRITE_AGAIN = (
    "delete names.npy and clips.npy, and run datamodules.pack again, which writes them from the shards"
)
"""The way out of a damaged list."""


@lru_cache(maxsize=64)  # whoever asks for the header reads the samples next
def find(path: str | Path) -> PackedClip | None:
    """The packed clip that a path names; None where it lies in no pack or is a file there.

    Raises:
        PackError: If the pack around it is unfinished or damaged.
    """
    folder, name = os.path.split(path)
    place = _place(folder)
    return place.pack.find(f"{place.folder}/{name}" if place.folder else name) if place else None


def headers(paths: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sample rates in Hz and numbers of frames of many packed files, int64 (file,); 0 of those that are in no pack.

    Raises:
        PackError: If the pack around one is unfinished or damaged.
    """
    rates, num_frames = np.zeros((2, len(paths)), np.int64)
    rows: dict[Pack, dict[str, int]] = {}  # looked up in a dict: the search of `find` takes 20 us
    found: dict[Pack, list[tuple[int, int]]] = {}  # pack -> (file, row)
    last, place, prefix = None, None, ""
    for index, path in enumerate(paths):
        folder, _, name = path.rpartition(os.sep)
        if folder != last:  # most follow others of their folder
            last, place = folder, _place(folder)
            prefix = f"{place.folder}/" if place and place.folder else ""
        if place is None:
            continue
        if place.pack not in rows:
            rows[place.pack] = {name: row for row, name in enumerate(place.pack.names)}
        if (row := rows[place.pack].get(prefix + name)) is not None:
            found.setdefault(place.pack, []).append((index, row))
    for pack, places in found.items():
        indices, of_pack = np.array(places).T
        rates[indices] = pack.clips["sample_rate"][of_pack]
        num_frames[indices] = pack.clips["num_frames"][of_pack]
    return rates, num_frames


def names_in(folder: str | Path) -> list[str]:
    """Names of the packed files in a folder, but not in folders below; none where it lies in no pack."""
    place = _place(os.fspath(folder))
    return place.pack.names_in(place.folder) if place else []


class _Place(NamedTuple):
    pack: Pack
    folder: str


@lru_cache(maxsize=4096)
def _place(folder: str) -> _Place | None:
    """The pack around a folder and the folder's path in it; looked for once a folder, not once a clip."""
    for root in (Path(folder), *Path(folder).parents):
        if (root / SHARDS / "clips.npy").is_file():
            inside = Path(folder).relative_to(root).as_posix()
            return _Place(_open_pack(root), "" if inside == "." else inside)
        if (root / SHARDS / LOCK).is_file():  # of the shards, threads may finish any first
            raise PackError(f"{root} is packed in part", "run the same datamodules.pack again, it goes on")
    return None


@lru_cache
def _open_pack(root: Path) -> Pack:
    return Pack(root)


class _Shard:
    """A file open for reading at any place, by any thread, until nobody uses it."""

    def __init__(self, path: str) -> None:
        try:
            self._file = Path(local_copy(path)).open("rb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise PackError(
                f"its shard {path} cannot be opened ({error.strerror})", "copy it again"
            ) from None
        weakref.finalize(self, self._file.close)
        self._turn = Lock()

    def read_into(self, buffer: memoryview, position: int) -> int:
        """Bytes that were read from a position on; 0 where the file ends."""
        try:
            return os.preadv(self._file.fileno(), [buffer], position)
        except AttributeError:  # Windows reads on from a place that all threads share
            with self._turn:
                self._file.seek(position)
                return self._file.readinto(buffer)


@lru_cache(maxsize=_MOST_OPEN)
def _open_shard(path: str) -> _Shard:
    return _Shard(path)


def to_float(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Stored samples (time, channel) as decoding gave them, (channel, time) in one piece."""
    if samples.dtype == np.float32:
        return np.ascontiguousarray(samples.T)
    return np.multiply(samples.T, np.float32(1 / 32768), order="C", dtype=np.float32)
