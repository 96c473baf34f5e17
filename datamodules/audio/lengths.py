"""What only decoding a whole file tells, found once and kept: its length, and where decoding may begin."""

import contextlib
import json
import warnings
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datamodules.cache import cache_entry, content_hash
from datamodules.files import write_text_atomically


@cache  # to look it up takes as long as a second of sound
def _decoders() -> str:
    return f"av {version('av')}"


def kept(make: Callable[[], Any], path: str | Path, *what: object) -> Any:
    """What was made of the content of a file by the decoders that are installed, now or earlier, as JSON holds it."""
    entry = cache_entry("lengths", content_hash(path), _decoders(), *what)
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
