"""Read the lists that come with a data set, and refuse faulty ones with the line and the way out."""

import csv
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from pathlib import Path

BOM = b"\xef\xbb\xbf"


class ProtocolError(ValueError):
    """A faulty list of a data set; one line that names the file, the line and the way out."""


class Faults:
    """Faults of a list, told together in one line: the first few, how many others there are, the ways out."""

    SHOWN = 3

    def __init__(self) -> None:
        self._found: list[tuple[str, str, str]] = []

    def add(self, place: str, what: str, way_out: str) -> None:
        """Note what is wrong at a place, ``file:line`` or a file, and what to do."""
        self._found.append((place, what, way_out))

    def refuse(self) -> None:
        """Raise what was found, if anything was.

        Raises:
            ProtocolError: With the places and the ways out.
        """
        if not self._found:
            return
        shown = self._found[: self.SHOWN]
        told = [f"{place}: {what}" for place, what, _ in shown]
        if more := len(self._found) - len(shown):
            told.append(f"and {more} more")
        ways_out = dict.fromkeys(way_out for *_, way_out in shown)
        raise ProtocolError(f"{'; '.join(told)}: {'; '.join(ways_out)}")


def read_rows(path: Path, *, num_columns: int | Sequence[int]) -> Iterator[tuple[str, list[str]]]:
    """Rows of a list with columns separated by white space.

    A byte order mark and Windows line ends are accepted.

    Args:
        path: The list.
        num_columns: Columns that every line must have; of several numbers that of the first line.

    Yields:
        ``file:line`` for messages, and the columns.

    Raises:
        ProtocolError: If the file is missing, unreadable, empty or not text, or a line is blank or of other
            columns.
    """
    for place, line in lines(path):
        columns = line.split()
        way_out = "protocol and remove spaces within names and blank lines"
        _check_columns(place, columns, num_columns, way_out)
        num_columns = len(columns)
        yield place, columns


def read_table(path: Path, *, num_columns: int | None = None) -> Iterator[tuple[str, list[str]]]:
    """Rows of a CSV file of which no value spans lines; quotes, byte order mark and line ends as in `read_rows`.

    Args:
        path: The file.
        num_columns: Columns that every line must have; None takes those of the first line.

    Yields:
        ``file:line`` for messages, and the columns; the header too, where there is one.

    Raises:
        ProtocolError: As `read_rows`.
    """
    for place, line in lines(path):
        columns = _fields(place, line, ",")
        num_columns = num_columns or len(columns)
        _check_columns(place, columns, num_columns, "list, and quote values that hold commas")
        yield place, columns


def read_named(path: Path, *, header: Sequence[str] | None = None) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a list of a user's own, whose first line names its columns; blank lines count for nothing.

    Tabs, commas, semicolons or white space separate the columns, whichever of these the first line has, in this order.

    Args:
        path: The list; a byte order mark and Windows line ends are accepted.
        header: Names of the columns of a list that begins with its first row.

    Yields:
        ``file:line`` for messages, and column -> value.

    Raises:
        ProtocolError: As `read_rows`, and if a column's name comes twice; of lines with other columns behind the last.
    """
    delimiter, names, faults = "", list(header or []), Faults()
    for place, line in lines(path):
        if not line.strip():
            continue
        delimiter = delimiter or next((mark for mark in "\t,;" if mark in line), " ")
        if len(names) == 1:
            columns = [line.strip()]
        else:
            columns = line.split() if delimiter == " " else _fields(place, line, delimiter)
        if not names:
            names = [name.strip() for name in columns]
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise ProtocolError(f"{place}: two columns are named {twice!r}: rename one of them")
            continue
        if len(columns) != len(names):
            faults.add(
                place,
                f"{len(columns)} columns where {len(names)} were expected ({', '.join(names)})",
                "correct the line, and quote values that hold what separates columns",
            )
            continue
        yield place, {name: value.strip() for name, value in zip(names, columns, strict=True)}
    faults.refuse()


def _fields(place: str, line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        raise ProtocolError(f"{place}: a quoted value does not end in its line: correct the quotes") from None


def _check_columns(place: str, columns: list[str], expected: int | Sequence[int], way_out: str) -> None:
    numbers = [expected] if isinstance(expected, int) else expected
    if len(columns) not in numbers:
        found = f"{len(columns)} columns" if columns else "a blank line"
        raise ProtocolError(
            f"{place}: {found} where {' or '.join(map(str, numbers))} columns were expected: compare with the data"
            f" set's own {way_out}"
        )


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """``file:line`` and text of the lines of a list, which must be text of at least one line."""
    try:
        content = path.read_bytes().removeprefix(BOM)
    except OSError as error:
        raise ProtocolError(
            f"{path}: cannot be read ({error.strerror}): check the data root, or unpack the data set's"
            " protocols there"
        ) from None
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise ProtocolError(f"{path}: is UTF-16: convert the file with `iconv -f utf-16 -t utf-8`")
    if not content.strip():
        raise ProtocolError(f"{path}: is empty: unpack the data set's protocols again")
    for number, line in enumerate(content.splitlines(), start=1):
        place = f"{path}:{number}"
        if b"\0" in line:
            raise ProtocolError(f"{place}: holds a NUL byte: the file is damaged, unpack it again")
        try:
            yield place, line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ProtocolError(
                f"{place}: byte 0x{line[error.start]:02x} is not UTF-8: convert the file with"
                " `iconv -f latin1 -t utf-8`"
            ) from None


def check_key(place: str, key: str, known: set[str]) -> None:
    """Refuse an id that occurs twice or that would lead out of the audio folder; others join the `known` ones.

    Raises:
        ProtocolError: With the place and the id.
    """
    if key in known:
        raise ProtocolError(f"{place}: id {key!r} occurs twice: remove one of the lines")
    if "/" in key or "\\" in key or key in {".", ".."}:
        raise ProtocolError(f"{place}: id {key!r} is a path, not the plain name of a file: correct the line")
    known.add(key)
