"""What a run checks of its folder before the first step: that no other process writes it, and that it can."""

import errno
import os
import shutil
import socket
import tempfile
from pathlib import Path

from filelock import lock_descriptor
from lightning_utilities.core.rank_zero import rank_zero_warn

_LOCK = ".lock"
_held: dict[Path, int] = {}


def take(folder: Path) -> None:
    """Locks ``folder`` until this process ends, however it ends.

    The kernel holds the lock (``flock``, on Windows ``LockFileEx``), so a killed run leaves none behind. On NFS it
    reaches other machines where the server supports locks; a file system without them is used with a warning.

    Raises:
        ValueError: Another process writes this run; names it and its machine.
        OSError: The folder cannot be written.
    """
    if folder in _held:
        return
    path = folder / _LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        is_ours = lock_descriptor(descriptor, blocking=False)
    except OSError as error:
        rank_zero_warn(f"{path}: no locks on this file system ({error.strerror}); start each run only once")
        is_ours = True
    if not is_ours:
        os.lseek(descriptor, 1, os.SEEK_SET)  # Windows locks the first byte against readers too
        holder = os.read(descriptor, 200).decode() or "another process"
        os.close(descriptor)
        raise ValueError(
            f"{folder}: {holder} is writing this run; wait for its end, or name another run with --run.id"
        )
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"\nprocess {os.getpid()} on {socket.gethostname()}".encode())
    _held[folder] = descriptor


def probe(folder: Path, size: int = 0) -> None:
    """Writes to ``folder`` before any work is done that could then not be saved.

    Args:
        folder: Of the checkpoints; made where it is missing.
        size: Bytes that a checkpoint has at least.

    Raises:
        OSError: The folder cannot be written or has no room; names both.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe.", suffix=".tmp") as file:
            _reserve(file.fileno(), max(size, 1), folder)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # file systems that reserve nothing
            raise _unwritable(folder, error, size) from error


def _reserve(descriptor: int, size: int, folder: Path) -> None:
    try:
        os.posix_fallocate(descriptor, 0, size)
    except AttributeError:  # macOS and Windows
        if shutil.disk_usage(folder).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None


def _unwritable(folder: Path, error: OSError, size: int = 0) -> OSError:
    room = f" with room for a checkpoint of {size / 1e6:.1f} MB" if size else ""
    return OSError(f"{folder}: cannot be written ({error.strerror}); give a folder{room} with --run.root")
