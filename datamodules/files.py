"""Files that appear at once or not at all, and the rows of score files."""

import contextlib
import csv
import io
import math
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

TEMPORARY = ".tmp"
"""What the name of a file ends in while it is written; a dot stands before it."""


def score_rows(path: str | Path, keys: Sequence[str], scores: Sequence[float]) -> list[tuple[str, str]]:
    """Keys and scores as text for the file `path`.

    Raises:
        ValueError: If their numbers differ or a score is not finite.
    """
    if len(keys) != len(scores):
        raise ValueError(f"{path}: {len(scores)} scores for {len(keys)} clips: give one score each")
    for key, score in zip(keys, scores, strict=True):
        if not math.isfinite(score):
            raise ValueError(f"{path}: score {score} of {key} is not finite: look for NaN in training")
    # nine digits give a float32 back exactly
    return [(key, f"{float(score):.9g}") for key, score in zip(keys, scores, strict=True)]


def is_special(path: str | Path) -> bool:
    """Whether a path is a pipe, a socket or a device, which whoever opens it may wait for in vain."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  a Path takes longer
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def write_csv(path: str | Path, rows: Iterable[Iterable[object]]) -> Path:
    """Write rows as CSV as they come, the header first, quoting only what needs it; all of them or no file."""
    with replacing(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        try:
            csv.writer(text, lineterminator="\n").writerows(rows)
        finally:
            text.detach()  # whoever opened the file closes it
    return Path(path)


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows below a header, as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_text_atomically(path: str | Path, text: str) -> Path:
    """Write a file in UTF-8 as a whole or not at all: a crash or a full disk leaves the old one; returns its path."""
    return write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: str | Path, content: bytes) -> Path:
    """Write a file as a whole or not at all: a crash or a full disk leaves the old one; returns its path."""
    with replacing(path) as file:
        file.write(content)
    return Path(path)


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` once it is whole and on the disk; others may read it.

    It lies beside `path`: a rename is one step within a file system alone.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def remove_leftovers(folder: str | Path) -> None:
    """Remove what a killed writer left in `folder`."""
    for leftover in Path(folder).glob(f".*{TEMPORARY}"):
        with contextlib.suppress(FileNotFoundError):
            leftover.unlink()


@contextmanager
def new_folder(folder: str | Path) -> Iterator[Path]:
    """A place to write a folder that appears at once when complete; of several processes, the first wins."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
