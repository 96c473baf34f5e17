"""Audio files by name: what a folder, a packed root or a file of tracks holds."""

import os
from collections.abc import Iterator
from pathlib import Path

from datamodules.audio import packed
from datamodules.audio.hdf5 import track_names
from datamodules.audio.reading import SUFFIXES


def names_in(folder: str | Path) -> set[str]:
    """Names of what a folder holds, packed files too, or of the tracks in an HDF5 file; none where it is missing."""
    try:
        with os.scandir(folder or ".") as entries:
            return {entry.name for entry in entries}.union(packed.names_in(folder))
    except NotADirectoryError:  # a file of tracks
        return track_names(folder)
    except OSError:
        return set()


def walk(root: str | Path) -> Iterator[tuple[str, list[str]]]:
    """Every folder at and below a root, links followed, and the sorted names of its files, packed ones too.

    What begins with a dot is passed over.
    """
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield folder, sorted(name for name in {*names, *packed.names_in(folder)} if not name.startswith("."))


def audio_files(root: str | Path) -> list[Path]:
    """Files of audio at any depth below a folder, sorted, packed ones too; see `walk`."""
    return sorted(Path(folder, name) for folder, names in walk(root) for name in names if is_audio(name))


def is_audio(name: str) -> bool:
    """Whether a file's name ends as that of audio."""
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122  a Path takes ten times longer
