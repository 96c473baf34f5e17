"""The lists of EPIC-KITCHENS-100: segments of videos, classes, tail classes, unseen participants.

Source: https://github.com/epic-kitchens/epic-kitchens-100-annotations, files ``EPIC_100_*.csv``.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from datamodules.protocol import ProtocolError, check_key, read_table

_TIMESTAMP = re.compile(r"(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)")
_COLUMNS = ("narration_id", "participant_id", "video_id", "start_timestamp", "stop_timestamp")


class Segment(NamedTuple):
    """One narrated action.

    Attributes:
        key: Narration id.
        participant: E.g. ``P01``.
        video: E.g. ``P01_11``.
        start_s: Begin in its video, in seconds.
        stop_s: End.
        verb: Class index; -1 in lists without labels.
        noun: Likewise.
    """

    key: str
    participant: str
    video: str
    start_s: float
    stop_s: float
    verb: int
    noun: int


def read_segments(path: Path, *, num_classes: tuple[int, int] | None) -> Iterator[Segment]:
    """Rows of a list of segments, columns found by the names in its header.

    Args:
        path: The list.
        num_classes: Of verbs and nouns; None of a list without labels.

    Raises:
        ProtocolError: With the file, the line and the way out.
    """
    rows = read_table(path)
    place, header = next(rows)
    wanted = _COLUMNS + (("verb_class", "noun_class") if num_classes else ())
    if missing := [column for column in wanted if column not in header]:
        raise ProtocolError(
            f"{place}: no column {', '.join(missing)}: take the list from epic-kitchens-100-annotations"
        )
    columns = [header.index(column) for column in wanted]
    keys: set[str] = set()
    for place, row in rows:
        key, participant, video, start, stop, *labels = (row[column] for column in columns)
        check_key(place, key, keys)
        check_key(place, video, set())
        start_s, stop_s = seconds(start, place), seconds(stop, place)
        if start_s >= stop_s:
            raise ProtocolError(f"{place}: {key} ends at {stop}, not after {start}: correct the line")
        classes = [_class(*each, place) for each in zip(labels, num_classes or (), strict=True)] or [-1, -1]
        yield Segment(key, participant, video, start_s, stop_s, *classes)


def seconds(timestamp: str, place: str) -> float:
    """Seconds of ``hours:minutes:seconds`` with any number of digits after the point.

    Raises:
        ProtocolError: With the place, if it is no time.

    Example:
        >>> seconds("01:02:03.5", "list.csv:1")
        3723.5
    """
    found = _TIMESTAMP.fullmatch(timestamp)
    if found is None:
        raise ProtocolError(f"{place}: {timestamp!r} is no time as 00:01:02.34: correct the line")
    hours, minutes, rest = found.groups()
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


def read_names(path: Path, count: int) -> list[str]:
    """The first `count` class names by id; longer lists, as version 2 of the nouns, are cut.

    Raises:
        ProtocolError: If an id is missing.
    """
    rows = read_table(path)
    place, header = next(rows)
    if header[:2] != ["id", "key"]:
        raise ProtocolError(f"{place}: begins with {header} where id,key,instances,category was expected")
    names = {row[0]: row[1] for _, row in rows}
    if missing := [index for index in map(str, range(count)) if index not in names]:
        raise ProtocolError(
            f"{path}: no class {missing[0]}, expected 0 to {count - 1}: take the list from"
            " epic-kitchens-100-annotations"
        )
    return [names[str(index)] for index in range(count)]


def read_members(path: Path) -> set[str]:
    """Values of a list of one column with a header, as tail classes or unseen participants."""
    rows = read_table(path, num_columns=1)
    next(rows)
    return {value for _, (value,) in rows}


def _class(label: str, count: int, place: str) -> int:
    if not label.isascii() or not label.isdecimal() or int(label) >= count:
        raise ProtocolError(f"{place}: class {label!r} is not one of 0 to {count - 1}: correct the line")
    return int(label)
