"""Columns of whitespace-separated text files, up to millions of lines; errors name file and line."""

import math
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from sys import intern
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray


def fail(path: Path, row: int, problem: str) -> NoReturn:
    """Raises a ValueError about the file's row (0 = first line that is not blank)."""
    with path.open(encoding="utf-8-sig") as file:
        written = (number for number, line in enumerate(file, 1) if not line.isspace())
        number = next(number for at, number in enumerate(written) if at == row)
    raise ValueError(f"{path}:{number}: {problem}")


def first_fields(path: Path) -> list[str]:
    """Fields of the first line that is not blank.

    Raises:
        ValueError: The file is empty, missing, or not UTF-8 text.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        with path.open(encoding="utf-8-sig") as file:
            fields = next((fields for line in file if (fields := line.split())), [])
    except UnicodeDecodeError:
        _fail_decoding(path)
    if not fields:
        raise ValueError(f"{path}: the file is empty")
    return fields


def read_columns(
    path: Path, wanted: Sequence[int], *, width: int, skip_header: bool = False
) -> list[list[str]]:
    """Reads some columns of a file; blank lines are skipped, a byte order mark and CRLF are understood.

    Args:
        path: The file.
        wanted: At least two column numbers from 0.
        width: Columns that every line must have.
        skip_header: Whether the first line holds names.

    Returns:
        One list of strings for each wanted column; equal strings share memory.

    Raises:
        ValueError: A line has another number of columns, there are no lines, or the file is not UTF-8 text.
    """
    pick = itemgetter(*wanted)
    texts: list[str] = []  # row by row; one flat list spares the garbage collector millions of tuples
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                fields = line.split()
                if len(fields) != width:
                    if not fields:
                        continue
                    raise ValueError(
                        f"{path}:{number}: {len(fields)} columns, expected {width} as in the first line: "
                        f"{line.strip()[:80]!r}"
                    )
                texts.extend(map(intern, pick(fields)))
    except UnicodeDecodeError:
        _fail_decoding(path)
    start, step = len(wanted) * skip_header, len(wanted)
    if len(texts) <= start:
        raise ValueError(f"{path}: the file has no trials")
    return [texts[start + at :: step] for at in range(step)]


def as_numbers(path: Path, texts: list[str], keys: list[str], *, first_row: int = 0) -> NDArray[np.float64]:
    """Converts a column of scores to float64 (rows,).

    Raises:
        ValueError: One is not a finite number; the message names line and key.
    """
    try:
        numbers = np.fromiter(map(float, texts), np.float64, len(texts))
    except ValueError:
        numbers = np.array(np.nan)
    if not np.isfinite(numbers).all():
        row = next(row for row, text in enumerate(texts) if not _is_finite(text))
        fail(path, row + first_row, f"score {texts[row]!r} of {keys[row]} is not a finite number; rescore it")
    return numbers


def check_unique(path: Path, keys: list[str], *, first_row: int = 0) -> None:
    """Raises a ValueError that names the line where an utterance comes a second time."""
    if len(set(keys)) == len(keys):
        return
    seen = set()
    for row, key in enumerate(keys):
        if key in seen:
            fail(path, row + first_row, f"{key} comes a second time; keep one line for each utterance")
        seen.add(key)


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _fail_decoding(path: Path) -> NoReturn:
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}:{number}: not UTF-8 text ({error.reason}); convert it with iconv -f latin1 -t utf-8"
            ) from None
    raise ValueError(f"{path}: not UTF-8 text")
