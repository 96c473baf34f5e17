"""Where an unpacked corpus begins, and the sounds of one whose labels are the names of its folders."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from datamodules.audio.search import is_audio, walk
from datamodules.protocol import Faults, ProtocolError, read_named

LEVELS = 3
"""Folders above a corpus that unpacking makes at most: the root, and two in it."""
_LANGUAGES = {"ch": "zh", "cn": "zh", "korean": "ko", "english": "en", "japanese": "ja"}


class Sound(NamedTuple):
    """A file of audio: its path below the corpus's home, with slashes; its path; names of its folders and its own."""

    key: str
    path: str
    parts: tuple[str, ...]


def subfolders(folder: Path) -> list[str]:
    """Sorted names of the folders in a folder, none where it is missing; what begins with a dot is passed over."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_dir())
    except OSError:
        return []


def find_home(root: Path, *landmarks: str) -> Path | None:
    """The folder that holds a landmark: the root, one in it, or its parent where the root is the landmark itself.

    Args:
        root: What the user calls the corpus's folder.
        landmarks: Paths below the home, of which one is enough; ``*`` and ``?`` stand for any name.

    Returns:
        None where there is no such folder.

    Raises:
        ProtocolError: If two of one depth hold a landmark.
    """
    for landmark in landmarks:
        first, _, rest = landmark.partition("/")
        if root.name == first and (not rest or _holds(root, rest)):
            return root.parent
    level = [root]
    for _ in range(LEVELS):
        found = [folder for folder in level if any(_holds(folder, landmark) for landmark in landmarks)]
        if len(found) > 1:
            raise ProtocolError(
                f"{found[0]} and {found[1]}: each holds {' or '.join(landmarks)}: set the root to one of them"
            )
        if found:
            return found[0]
        level = [folder / name for folder in level for name in subfolders(folder)]
    return None


def home(root: Path, *landmarks: str) -> Path:
    """As `find_home`.

    Raises:
        ProtocolError: If there is no such folder, too.
    """
    if (found := find_home(root, *landmarks)) is None:
        raise ProtocolError(
            f"{root}: holds no {' or '.join(landmarks)}, nor does a folder in it: set the root to the unpacked corpus"
        )
    return found


def _holds(folder: Path, landmark: str) -> bool:
    return next(folder.glob(landmark), None) is not None


def sounds(home: Path, folder: str, *layouts: str) -> Iterator[Sound]:
    """Audio of a folder of the corpus, sorted within each folder, packed files too.

    Args:
        home: The corpus's.
        folder: Path below the home, which `Sound.parts` do not have.
        layouts: Where files lie in it, such as ``<system>/<file>``; each allows a depth.

    Raises:
        ProtocolError: If there is no audio, or, behind the last, if a file lies in another depth.
    """
    top, depths, faults, found = home / folder, {layout.count("/") for layout in layouts}, Faults(), False
    for directory, names in walk(top):
        inside = Path(directory).relative_to(top).parts
        key = "/".join(Path(directory).relative_to(home).parts)
        for name in filter(is_audio, names):
            found = True
            if len(inside) in depths:
                yield Sound(f"{key}/{name}" if key else name, f"{directory}/{name}", (*inside, name))
            else:
                faults.add(
                    f"{directory}/{name}",
                    f"{top} has audio at {' or '.join(layouts)}",
                    "move other files away",
                )
    faults.refuse()
    if not found:
        raise ProtocolError(f"{top}: no audio at {' or '.join(layouts)}: unpack the whole corpus")


def read_columns(path: Path, *columns: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a list with these columns and others; else as `read_named`.

    Raises:
        ProtocolError: As `read_named`, and if a column is missing.
    """
    for place, row in read_named(path):
        if missing := [name for name in columns if name not in row]:
            found = ", ".join(row)
            raise ProtocolError(
                f"{path}:1: no column {missing[0]!r}, found {found}: take the corpus's own list"
            )
        yield place, row


def language(name: str) -> str:
    """Code of a language in two letters, as lists and folders have it: ``en_US``, ``EN``, ``zh-CN``, ``Korean``.

    >>> [language(name) for name in ("en_US", "zh-cn", "CN", "Korean")]
    ['en', 'zh', 'zh', 'ko']
    """
    code = re.split("[-_]", name.lower())[0]
    return _LANGUAGES.get(code, code)
