"""Films without sound, such as silent videos among those of YouTube: found by their headers, then remembered."""

import json
import os
import stat
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from datamodules.audio import AudioError, NoAudioTrackError
from datamodules.audio.containers import open_track
from datamodules.cache import cache_entry
from datamodules.files import write_text_atomically

FILMS = frozenset({".mp4", ".m4v", ".mov", ".webm", ".mkv", ".3gp"})
"""What names of films end in."""

SOUNDLESS = "has no audio track"
"""Reason of a clip whose film has no sound."""


def is_film(name: str) -> bool:
    """Whether a file's name ends as that of a film, which may have no sound."""
    return os.path.splitext(name)[1].lower() in FILMS  # noqa: PTH122  a Path takes ten times longer


def soundless(paths: Iterable[str]) -> set[str]:
    """Those that are films without an audio track; a millisecond a film, and a look at its size and time ever after.

    Size and time of change stand for content: to read all films of a data set takes longer than to open them. Whatever
    else is wrong with a file is left to who decodes it.
    """
    with ThreadPoolExecutor(16) as pool:  # waits for the disk
        seen = [each for each in pool.map(_state, sorted({*filter(is_film, paths)})) if each is not None]
        if not seen:
            return set()
        entry = cache_entry("soundless_films", seen)
        with suppress(OSError, ValueError, TypeError):  # unknown, or damaged
            return {str(path) for path in json.loads(entry.read_text(encoding="utf-8"))}
        found = [
            path for path, is_silent in zip(seen, pool.map(_has_no_sound, seen), strict=True) if is_silent
        ]
    with suppress(OSError):  # where nothing can be kept, films are opened each time
        write_text_atomically(entry, json.dumps([path for path, *_ in found]))
    return {path for path, *_ in found}


def _state(path: str) -> tuple[str, int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116  a Path takes longer
    except OSError:  # missing, or packed, which has sound
        return None
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
        return None
    return path, status.st_size, status.st_mtime_ns


def _has_no_sound(film: tuple[str, int, int]) -> bool:
    try:
        with open_track(film[0]):  # and decode nothing
            return False
    except AudioError as error:
        return isinstance(error, NoAudioTrackError)
