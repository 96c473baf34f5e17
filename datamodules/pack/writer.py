"""Write the shards of a packed data set; see `datamodules.audio.packed` for what lies where.

Threads decode, for libsndfile and FFmpeg work outside the interpreter's lock, and each fills a shard of its own. A
shard appears when it is complete, then its list ``000000.npz``: what a killed run leaves are whole shards, and the next
run goes on with the files that are in none.
"""

import itertools
import os
import shutil
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from filelock import lock_descriptor
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from datamodules import audio
from datamodules.audio.packed import CLIP, LOCK, SHARDS, to_float
from datamodules.audio.search import is_audio, walk
from datamodules.cpus import allowed_cpus
from datamodules.files import replacing
from datamodules.strings import Strings


def audio_names(root: Path) -> list[str]:
    """Paths in a root of the files to pack, sorted: those whose names end as that of audio."""
    places = ((Path(folder).relative_to(root), names) for folder, names in walk(root))
    return sorted((place / name).as_posix() for place, names in places for name in names if is_audio(name))


def copy_others(root: Path, into: Path) -> None:
    """Copy folders, and the files that are no audio, where they are missing or have changed."""
    for folder, names in walk(root):
        place = into / Path(folder).relative_to(root)
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            if not is_audio(name):
                _copy(Path(folder, name), place / name)


def read_list(path: Path) -> tuple[Strings, NDArray[np.void]]:
    """Paths in the root and rows (`CLIP`) of the clips of a shard, in the order of their samples.

    Raises:
        ValueError: If the file is damaged.
    """
    try:
        with np.load(path) as arrays:
            content, clips = arrays["names"], arrays["clips"]
        return Strings(clips["name_end"], content), clips
    except Exception as error:  # zip, NumPy and the system each have their own
        raise ValueError(
            f"{path}: not readable ({error}): delete it and run datamodules.pack again"
        ) from None


def packed_before(folder: Path) -> tuple[set[str], Iterator[int]]:
    """Paths that are in whole shards of a folder, and numbers for new ones; what a killed run left is removed.

    Raises:
        ValueError: If the list of a shard is damaged.
    """
    for leftover in folder.glob(".*.part"):
        leftover.unlink()
    lists = {path: read_list(path) for path in sorted(folder.glob("*.npz"))}
    known = {name for names, _ in lists.values() for name in names}
    return known, itertools.count(1 + max((int(path.stem) for path in lists), default=-1))


class ShardFile:
    """A shard that is written; it appears, with its list, when the block that it is the context of ends well."""

    def __init__(self, folder: Path, number: int, *, allow_truncated: bool) -> None:
        self._allowed = {"allow_truncated": allow_truncated}
        self._path, self._number = folder / f"{number:06d}.bin", number
        self._part = folder / f".{number:06d}.part"
        self._names: list[str] = []
        self._rows: list[tuple[int, ...]] = []

    def __enter__(self) -> "ShardFile":
        self._file = self._part.open("wb")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        if kind is not None or not self._names:
            self._part.unlink()
            return
        self._part.replace(self._path)
        names, clips = Strings.of(self._names), np.array(self._rows, CLIP)
        clips["name_end"] = names.ends
        with replacing(self._path.with_suffix(".npz")) as file:
            np.savez(file, names=names.content, clips=clips)

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._file.tell()

    def add(self, name: str, path: Path) -> None:
        """Decode a file and append it, as int16 if that holds every sample exactly, else as float32.

        Raises:
            AudioError: If it cannot be decoded; nothing of it is left then.
        """
        begin = self.size
        try:
            header = audio.info(path, **self._allowed)
            row = self._append(path, begin, _as_int16) or self._append(path, begin, _as_float32)
        except audio.AudioError:
            self._return_to(begin)
            raise
        assert row is not None
        num_samples, checksum, *kind = row
        place = begin, num_samples, header.num_frames, self._number, header.sample_rate, checksum
        self._names.append(name)
        self._rows.append((0, *place, *kind))

    def add_samples(self, name: str, samples: NDArray[np.int16], sample_rate: int) -> None:
        """Append samples (time, channel)."""
        place = self.size, len(samples), len(samples), self._number, sample_rate, zlib.crc32(samples.data)
        self._file.write(samples.data)
        self._names.append(name)
        self._rows.append((0, *place, samples.shape[1], samples.itemsize))

    def _append(
        self, path: Path, begin: int, convert: Callable[[NDArray[np.float32]], NDArray[np.generic] | None]
    ) -> tuple[int, int, int, int] | None:
        """Samples, checksum, channels and bytes a sample of what was appended; None if `convert` refuses it."""
        self._return_to(begin)
        num_samples = checksum = num_channels = sample_bytes = 0
        for block in audio.blocks(path, **self._allowed):
            samples = convert(block)
            if samples is None:
                return None
            self._file.write(samples.data)
            checksum = zlib.crc32(samples.data, checksum)
            num_samples += len(samples)
            num_channels, sample_bytes = samples.shape[1], samples.itemsize
        return num_samples, checksum, num_channels, sample_bytes

    def _return_to(self, begin: int) -> None:
        self._file.seek(begin)
        self._file.truncate()


def _as_int16(block: NDArray[np.float32]) -> NDArray[np.int16] | None:
    """Samples (channel, time) as (time, channel) of int16, None where reading these would differ in a bit."""
    samples = np.ascontiguousarray(np.clip(block.T * 32768, -32768, 32767).astype(np.int16))
    exact = np.array_equal(to_float(samples).view(np.int32), np.ascontiguousarray(block).view(np.int32))
    return samples if exact else None


def _as_float32(block: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(block.T)


def join_lists(folder: Path) -> tuple[Strings, NDArray[np.void]]:
    """Paths and rows of all shards, sorted by path: what the list of the pack says.

    Raises:
        ValueError: If the list of a shard is damaged.
    """
    lists = [read_list(path) for path in sorted(folder.glob("*.npz"))]
    names = [name for shard, _ in lists for name in shard]
    order = sorted(range(len(names)), key=names.__getitem__)
    clips = np.concatenate([np.empty(0, CLIP), *(rows for _, rows in lists)])[order]
    joined = Strings.of(names[row] for row in order)
    clips["name_end"] = joined.ends
    return joined, clips


def write_index(folder: Path) -> None:
    """Write the list of a pack from those of its shards."""
    names, clips = join_lists(folder)
    for name, array in (("names.npy", names.content), ("clips.npy", clips)):
        with replacing(folder / name) as file:
            np.save(file, array)


def _copy(source: Path, target: Path) -> None:
    """Copy a file as a whole or not at all, unless it is there with the same size and time."""
    status = source.stat()
    if target.exists():
        there = target.stat()
        if (there.st_size, there.st_mtime_ns) == (status.st_size, status.st_mtime_ns):
            return
    temporary = target.with_name(f".{target.name}.part")
    shutil.copy2(source, temporary)
    temporary.replace(target)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder of shards.

    Raises:
        ValueError: One packs into it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("ab") as lock:
        if not lock_descriptor(lock.fileno(), blocking=False):
            raise ValueError(
                f"{folder.parent}: another run packs into it: let it end, or choose another folder"
            )
        yield


def pack(
    root: Path,
    into: Path,
    *,
    allow_truncated: bool = False,
    shard_bytes: int = 1 << 30,
    progress: bool = False,
) -> dict[str, str]:
    """Pack the data set in `root` into the folder `into`.

    Args:
        root: The data set.
        into: The packed root; what an earlier run packed stays.
        allow_truncated: Pack what there is of files that were cut off, in place of copying them.
        shard_bytes: Size at which a shard is closed.
        progress: Show a bar.

    Returns:
        Path in the root -> reason of the files that cannot be decoded, which are copied as they are.

    Raises:
        ValueError: If there is nothing to pack, one folder lies in the other, another run packs into the same
            folder, or the list of a shard is damaged.
        OSError: If something cannot be written.
    """
    root, into = root.resolve(), into.resolve()
    if root == into or root in into.parents or into in root.parents:
        raise ValueError(
            f"--into {into} and the data set {root} lie in each other: choose a folder elsewhere"
        )
    if (root / SHARDS / "clips.npy").exists():
        raise ValueError(f"{root} is packed already: set data.root to the data set itself")
    if not (total := len(audio_names(root))):
        raise ValueError(f"{root}: no file of audio to pack: set data.root to the folder of the data set")
    copy_others(root, into)
    with Progress(console=Console(stderr=True), disable=not progress) as bar, locked(into / SHARDS):
        on_progress = partial(bar.advance, bar.add_task("pack", total=total))
        return _write_shards(root, into, allow_truncated, shard_bytes, on_progress)


def _write_shards(
    root: Path, into: Path, allow_truncated: bool, shard_bytes: int, on_progress: Callable[[], object]
) -> dict[str, str]:
    """Pack every file of audio that is not packed yet; those that cannot be decoded are copied as they are."""
    folder, num_threads = into / SHARDS, allowed_cpus()
    known, numbers = packed_before(folder)
    waiting = iter([name for name in audio_names(root) if name not in known])
    faults: dict[str, str] = {}

    def fill_shards() -> None:
        for first in waiting:  # the iterator of a list gives each name to one thread
            with ShardFile(folder, next(numbers), allow_truncated=allow_truncated) as shard:
                for name in itertools.chain([first], waiting):
                    try:
                        shard.add(name, root / name)
                    except audio.AudioError as error:
                        faults[name] = str(error)
                        _copy(root / name, into / name)
                    on_progress()
                    if shard.size >= shard_bytes:
                        break

    with ThreadPoolExecutor(num_threads) as pool:
        futures = [pool.submit(fill_shards) for _ in range(num_threads)]
        try:
            for future in as_completed(futures):
                future.result()
        finally:  # after a fault or Ctrl-C the others close their shards and end
            deque(waiting, maxlen=0)
    write_index(folder)
    return faults
