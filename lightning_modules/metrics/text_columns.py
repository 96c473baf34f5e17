"""Columns of text files, up to millions of lines; errors name file and line."""

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from pathlib import Path
from sys import intern
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

SEPARATORS = "\t|,;"


def fail(path: Path, row: int, problem: str, *, prefix: str = "") -> NoReturn:
    """Raises a ValueError about a row of a file: 0 is the first line that is not blank and begins with `prefix`."""
    with path.open(encoding="utf-8-sig") as file:
        written = (number for number, line in enumerate(file, 1) if _is_written(line, prefix))
        number = next(islice(written, row, None))
    raise ValueError(f"{path}:{number}: {problem}")


def _is_written(line: str, prefix: str) -> bool:
    return not line.isspace() and line.startswith(prefix)


def first_fields(path: Path) -> list[str]:
    """Fields of the first line that is not blank, separated by white space.

    Raises:
        ValueError: The file is empty, missing, or not UTF-8 text.
    """
    return first_line(path).split()


def first_line(path: Path) -> str:
    """The first line that is not blank; errors as in `first_fields`."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        with path.open(encoding="utf-8-sig") as file:
            line = next((line for line in file if not line.isspace()), "")
    except UnicodeDecodeError:
        _fail_decoding(path)
    if not line:
        raise ValueError(f"{path}: the file is empty")
    return line.strip("\r\n")


def separator_of(line: str) -> str | None:
    """What separates the columns of a file with this first line: a tab, bar, comma, semicolon, or None, white space."""
    found = next((mark for mark in SEPARATORS if mark in line), None)
    return None if found == "\t" and line.split() == line.split("\t") else found


def fields_of(line: str, separator: str | None) -> list[str]:
    """Columns of one line."""
    return next(_split([line], separator), [])


def read_columns(
    path: Path,
    wanted: Sequence[int],
    *,
    width: int,
    skip_header: bool = False,
    separator: str | None = None,
    prefix: str = "",
) -> list[list[str]]:
    """Reads some columns of a file; blank lines are skipped, a byte order mark and CRLF are understood.

    Args:
        path: The file.
        wanted: At least two column numbers from 0.
        width: Columns that every line must have.
        skip_header: Whether the first line holds names.
        separator: As `separator_of` returns it; values may be quoted.
        prefix: What the lines begin with; others are none of the table's.

    Returns:
        One list of strings for each wanted column; equal strings share memory.

    Raises:
        ValueError: A line has another number of columns, there are no lines, or the file is not UTF-8 text.
    """
    pick = itemgetter(*wanted)
    texts: list[str] = []  # row by row; one flat list spares the garbage collector millions of tuples
    try:
        with path.open(encoding="utf-8-sig") as file:
            written = (line for line in file if line.startswith(prefix)) if prefix else file
            for row, fields in enumerate(_split(written, separator)):
                if len(fields) != width:
                    if not fields:
                        continue
                    _fail_width(path, row, fields, width, prefix)
                texts.extend(map(intern, pick(fields)))
    except UnicodeDecodeError:
        _fail_decoding(path)
    except csv.Error as error:
        raise ValueError(f"{path}: {error}; close every quoted value within its line") from None
    start, step = len(wanted) * skip_header, len(wanted)
    if len(texts) <= start:
        raise ValueError(f"{path}: the file has no trials")
    return [texts[start + at :: step] for at in range(step)]


def _split(lines: Iterable[str], separator: str | None) -> Iterator[list[str]]:
    """Columns of each line; none of a blank one."""
    if separator is None:
        return map(str.split, lines)
    return csv.reader(lines, delimiter=separator, skipinitialspace=True)


def as_numbers(
    path: Path, texts: list[str], keys: list[str], *, first_row: int = 0, prefix: str = ""
) -> NDArray[np.float64]:
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
        problem = f"score {texts[row]!r} of {keys[row]} is not a finite number; rescore it"
        fail(path, row + first_row, problem, prefix=prefix)
    return numbers


def check_unique(path: Path, keys: list[str], *, first_row: int = 0) -> None:
    """Raises a ValueError that names the line where an utterance comes a second time."""
    row = first_repeated(keys)
    if row is not None:
        fail(path, row + first_row, f"{keys[row]} comes a second time; keep one line for each utterance")


def first_repeated(keys: list[str]) -> int | None:
    """Row of the first key that has come before."""
    if len(set(keys)) == len(keys):
        return None
    seen: set[str] = set()
    return next(row for row, key in enumerate(keys) if key in seen or seen.add(key))


def _fail_width(path: Path, row: int, fields: list[str], width: int, prefix: str) -> NoReturn:
    problem = f"{len(fields)} columns, expected {width} as in the first line: {' '.join(fields)[:80]!r}"
    if prefix:
        fail(path, row, problem, prefix=prefix)
    raise ValueError(f"{path}:{row + 1}: {problem}")


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
