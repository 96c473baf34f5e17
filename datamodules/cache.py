"""The one folder of what was found out once: lengths, near duplicates, features. Nothing is written beside data.

An entry's name is the hash of what it was made from, the content of files and the settings, so that a moved file is
known again and a changed one is not. The folder may be deleted at any time.
"""

import hashlib
import json
import os
import sys
from functools import cache
from multiprocessing import parent_process
from pathlib import Path
from threading import Lock

import platformdirs
from lightning_utilities.core.rank_zero import rank_zero_only

VARIABLE = "AUDIO_PLATFORM_CACHE"


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
    """SHA-256 of a file's content, in hexadecimal digits."""
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
