"""The one folder of what was found out once: lengths, near duplicates, features. Nothing is written beside data.

An entry's name is the hash of what it was made from, the content of files and the settings, so that a moved file is
known again and a changed one is not. The hash of a large file is kept too, by its path, size and time. The folder may
be deleted at any time.
"""

import contextlib
import hashlib
import json
import os
import sys
import time
from functools import cache
from multiprocessing import parent_process
from pathlib import Path
from threading import Lock

import platformdirs
from lightning_utilities.core.rank_zero import rank_zero_only

VARIABLE = "AUDIO_PLATFORM_CACHE"

_LARGE = 1 << 18  # bytes; what is smaller is hashed about as fast as looked up
_SETTLED_S = (
    2.0  # what was written this moment may be written again at the same time by the file system's clock
)


def cache_folder() -> Path:
    """The folder that the environment variable names, or the user's own; a run tells it once, when it is first used."""
    named = os.environ.get(VARIABLE)  # an empty one counts as unset
    folder = Path(named) if named else platformdirs.user_cache_path("audio-research-platform")
    with _TELLING:  # which `cache` alone lets threads do at once
        _tell(folder)
    return folder


_TELLING = Lock()


@cache
def _tell(folder: Path) -> None:
    is_first = not vars(rank_zero_only).get(
        "rank", 0
    )  # which Lightning sets; other commands have one process
    if is_first and parent_process() is None:  # and no worker of a loader
        print(
            f"{folder}: what is found out once is kept here ({VARIABLE} names another folder)",
            file=sys.stderr,
        )


def content_hash(path: str | Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits; large ones are read once, until size or time change."""
    status = os.stat(path)  # noqa: PTH116  a Path takes longer
    if status.st_size < _LARGE:
        return _hash(path)
    entry = cache_entry("hashes", os.path.abspath(path), status.st_size, status.st_mtime_ns, suffix=".txt")  # noqa: PTH100
    with contextlib.suppress(OSError, ValueError):
        if len(found := entry.read_text(encoding="ascii")) == 64:
            return found
    found = _hash(path)
    if time.time() - status.st_mtime > _SETTLED_S:
        with contextlib.suppress(OSError):  # what cannot be kept is read again
            entry.parent.mkdir(parents=True, exist_ok=True)
            entry.write_text(found, encoding="ascii")  # one cut off is none, by its length
    return found


def _hash(path: str | Path) -> str:
    with open(path, "rb") as file:  # noqa: PTH123  a Path takes longer
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_entry(kind: str, *parts: object, suffix: str = ".json") -> Path:
    """The file that holds, or will hold, what is made from ``parts``; write it with `datamodules.files`.

    Args:
        kind: What is kept, such as ``lengths``: a folder of its own.
        parts: Hashes of content, and settings as JSON takes them.
        suffix: Of the file's name.
    """
    digest = hashlib.sha256(json.dumps([kind, *parts], sort_keys=True).encode()).hexdigest()
    return cache_folder() / kind / digest[:2] / f"{digest}{suffix}"
