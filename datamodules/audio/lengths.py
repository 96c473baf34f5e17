"""What only decoding a whole file tells, found once and kept: its length, and where decoding may begin."""

import contextlib
import json
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.audio.containers import Count, count, open_track, parts
from datamodules.audio.errors import AudioError
from datamodules.cache import cache_entry, content_hash
from datamodules.files import write_text_atomically

_SPACING_S = 10.0  # between marks
_ALIKE = 5e-4  # of full scale


def counted(path: str | Path, **known: Any) -> Count:
    """As `containers.count`, which is given what is `known`."""
    return Count(*_kept(lambda: count(path, **known), path, "count", known))


def marks(path: str | Path) -> list[tuple[int, int]]:
    """Time stamps and places of frames, ten seconds from one to the next, at which decoding may begin.

    Decoding anew from each gave what decoding from the beginning did, up to the next one. There are none where that
    was once different: where a container guesses its time stamps, or a codec remembers all that went before.
    """
    return [(pts, position) for pts, position in _kept(lambda: _find_marks(path), path, "marks")]


def _kept(make: Callable[[], Any], path: str | Path, *what: object) -> Any:
    """What was made of the content of a file by the decoders that are installed, now or earlier."""
    entry = cache_entry("lengths", content_hash(path), f"av {version('av')}", *what)
    with contextlib.suppress(OSError, ValueError):  # none yet, or damaged
        return json.loads(entry.read_text(encoding="utf-8"))
    found = make()
    try:
        write_text_atomically(entry, json.dumps(found))
    except OSError as error:
        # the same text for every file, so that it is told once a process
        warnings.warn(
            f"{entry.parents[1]}: {error.strerror}: lengths of files are found anew each time", stacklevel=2
        )
    return found


def _find_marks(path: str | Path) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    with open_track(path) as track:
        since: list[NDArray[np.float32]] = []
        place = 0
        for block in track.blocks():
            if block.position >= place + _SPACING_S * block.frame.sample_rate and block.pts is not None:
                if found and not _is_right(path, found[-1], since):
                    return []
                found.append((block.pts, block.position))
                place, since = block.position, []
            since.append(track.samples(block))
    return found if found and _is_right(path, found[-1], since) else []


def _is_right(path: str | Path, mark: tuple[int, int], expected: list[NDArray[np.float32]]) -> bool:
    """Whether decoding from a mark on gives the samples that lie behind it."""
    samples, position = np.concatenate(expected, axis=1), 0
    try:
        for part in parts(path, mark[1], mark[1] + samples.shape[1], mark):
            there = samples[:, position : position + part.shape[1]]
            if np.abs(part - there).max(initial=0) > _ALIKE:
                return False
            position += part.shape[1]
    except AudioError:  # such as no seek at all
        return False
    return position == samples.shape[1]
