"""What lies in a library: every sound once by its path, whatever its name, and through links."""

import os
import stat
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from datamodules.audio import SUFFIXES


class Stamp(NamedTuple):
    """Size in bytes and time of the last change in ns: what tells that a file is still the one that was seen."""

    size: int
    mtime_ns: int


class SoundFile(NamedTuple):
    """A file of a library: path below the library's folder, and its stamp."""

    path: str
    stamp: Stamp


@dataclass
class Scan:
    """What was found.

    Attributes:
        files: Sounds by their names' endings, sorted by path.
        faults: Path -> reason of what has such a name and cannot be looked at.
        others: Number of files of other kinds, which are left alone.
    """

    files: list[SoundFile] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    others: int = 0


def stamp(path: str | Path) -> Stamp:
    """Stamp of the file behind a path."""
    status = Path(path).stat()
    return Stamp(status.st_size, status.st_mtime_ns)


def scan(library: Path, *, leave_out: Path | None = None) -> Scan:
    """Search a folder in depth; links to folders are followed, and every folder is searched once.

    Folders come before links to folders, so that a file has its plain path where it has several.

    Args:
        library: Folder.
        leave_out: A folder in it, or elsewhere, that is not searched.

    Raises:
        ValueError: If `library` is no folder that can be read.
    """
    try:
        os.listdir(library)  # noqa: PTH208
    except OSError as error:
        raise ValueError(
            f"{library}: cannot be searched ({error.strerror}): name a folder of sounds"
        ) from None
    found = Scan()
    seen = {_identity(leave_out)} if leave_out is not None and leave_out.exists() else set()
    folders = deque([""])
    while folders:
        folder = folders.popleft()
        try:
            identity = _identity(library / folder)
            if identity in seen:
                continue
            seen.add(identity)
            plain, links = _search(library, folder, found)
        except OSError as error:
            found.faults[folder] = f"folder cannot be searched ({error.strerror})"
        else:
            folders.extendleft(plain)
            folders.extend(links)
    found.files.sort()
    return found


def _search(library: Path, folder: str, found: Scan) -> tuple[list[str], list[str]]:
    """Note the files of one folder; return its folders and its links to folders."""
    plain, links = [], []
    with os.scandir(library / folder) as entries:
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            try:
                status = entry.stat()
            except OSError as error:  # a link to nothing or in a circle
                status, fault = None, f"cannot be looked at ({error.strerror})"
            else:  # a pipe would wait for ever
                fault = "" if stat.S_ISREG(status.st_mode) else "no regular file"
            if status is not None and stat.S_ISDIR(status.st_mode):
                (links if entry.is_symlink() else plain).append(path)
            elif not _is_named_as_sound(entry.name):
                found.others += 1
            elif status is None or fault:
                found.faults[path] = fault
            else:
                found.files.append(SoundFile(path, Stamp(status.st_size, status.st_mtime_ns)))
    return sorted(plain), sorted(links)


def _is_named_as_sound(name: str) -> bool:
    """Whether a name ends as those of sounds do; ``._name`` is what macOS keeps about a file, not a sound."""
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith("._")


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
