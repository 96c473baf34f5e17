"""Copies of shards on a node's own disk, for packs that lie on a slow one: ``PACK_CACHE=/local/scratch``."""

import hashlib
import os
import shutil
import warnings
from pathlib import Path

from filelock import lock_descriptor

_SPARE = 1 << 30  # bytes that a copy leaves free: others write to the disk too


def local_copy(path: str) -> str:
    """A shard's copy in the folder PACK_CACHE, made by the first process of the node that asks.

    Copies of changed shards have other names. Without PACK_CACHE, or where the disk is full, which is told once, it is
    `path` itself.
    """
    cache = os.environ.get("PACK_CACHE")
    if not cache:
        return path
    status = Path(path).stat()
    state = f"{Path(path).resolve()}\n{status.st_size}\n{status.st_mtime_ns}"
    copy = Path(cache, f"{hashlib.sha256(os.fsencode(state)).hexdigest()[:16]}_{Path(path).name}")
    if _is_whole(copy, status.st_size):
        return str(copy)
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with copy.with_suffix(".lock").open("ab") as lock:
            lock_descriptor(lock.fileno())  # the kernel frees it with the process, however that ends
            if not _is_whole(copy, status.st_size):
                _copy(path, copy, status.st_size)
    except OSError as error:
        # the same text for every shard, so that it is told once a process
        warnings.warn(
            f"PACK_CACHE {cache}: {error.strerror}: shards are read from {Path(path).parent}", stacklevel=2
        )
        return path
    return str(copy)


def _is_whole(copy: Path, size: int) -> bool:
    return copy.exists() and copy.stat().st_size == size  # a node that crashed may have kept the name alone


def _copy(path: str, copy: Path, size: int) -> None:
    if shutil.disk_usage(copy.parent).free < size + _SPARE:
        raise OSError(0, "the disk is full")
    temporary = copy.with_suffix(".part")  # what a killed process left is written over
    try:
        shutil.copyfile(path, temporary)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    temporary.replace(copy)
