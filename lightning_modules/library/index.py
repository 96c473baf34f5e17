"""Embeddings of a library, kept beside it: only new and changed files are listened to."""

import io
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from datamodules.audio.names import escape, unescape
from datamodules.files import write_bytes_atomically
from lightning_modules.library.scan import SoundFile, Stamp, scan

if TYPE_CHECKING:
    from lightning_modules.library.listening import Listener

NAME = ".select.npz"
"""Name of the index in a library."""


@dataclass
class Index:
    """Embeddings of a library.

    Attributes:
        files: Sounds, sorted by path.
        embedding: float32 (file, dim), of length 1.
        faults: Path -> why it has none.
        is_kept: Whether the index lies on disk.
    """

    files: list[SoundFile]
    embedding: NDArray[np.float32]
    faults: dict[str, str] = field(default_factory=dict)
    is_kept: bool = True


def index_library(library: Path, *, listener: "Listener", path: Path | None = None) -> Index:
    """Bring the index of a library up to date.

    Args:
        library: Folder.
        listener: Trained tagger; the index of another is made anew.
        path: Of the index; None is ``.select.npz`` in the library.

    Raises:
        ValueError: If the library cannot be searched.
    """
    path = library / NAME if path is None else path
    found = scan(library)
    old = _read(path, listener.identity)
    known = {file: old[file] for file in found.files if file in old}
    new = [file for file in found.files if file not in known]
    faults = dict(found.faults)
    for number, embedding in listener.embeddings([f"{library}/{file.path}" for file in new]):
        if isinstance(embedding, str):
            faults[new[number].path] = embedding
        else:
            known[new[number]] = unit(embedding.numpy())
    files = [file for file in found.files if file in known]
    embedding = np.stack([known[file] for file in files]) if files else np.zeros((0, 0), np.float32)
    index = Index(files, embedding, faults)
    if known.keys() != old.keys():
        try:
            _write(path, index, listener.identity)
        except OSError:  # a library that may only be read is listened to each time
            index.is_kept = False
    return index


def unit(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale (..., dim) to length 1; zeros stay."""
    return embedding / np.maximum(np.linalg.norm(embedding, axis=-1, keepdims=True), 1e-12)


def _read(path: Path, identity: str) -> dict[SoundFile, NDArray[np.float32]]:
    """Embeddings of an index; none where there is none, or of another tagger."""
    with suppress(OSError, ValueError, KeyError, BadZipFile), np.load(path) as content:
        if content["tagger"] == identity:
            files = (
                SoundFile(unescape(name), Stamp(*stamp))
                for name, stamp in zip(content["path"].tolist(), content["stamp"].tolist(), strict=True)
            )
            return dict(zip(files, content["embedding"], strict=True))
    return {}


def _write(path: Path, index: Index, identity: str) -> None:
    content = io.BytesIO()
    np.savez(
        content,
        tagger=np.array(identity),
        path=np.array([escape(file.path) for file in index.files], np.str_),
        stamp=np.array([file.stamp for file in index.files], np.int64).reshape(-1, 2),
        embedding=index.embedding,
    )
    write_bytes_atomically(path, content.getvalue())
