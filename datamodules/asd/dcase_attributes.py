"""Attributes of machines' clips, beside what the names of files say: tables, and files of what the challenge hid."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lightning_utilities.core.rank_zero import rank_zero_warn

from datamodules.protocol import ProtocolError

NO_ATTRIBUTE = {"", "noAttribute"}
"""How names and tables say that nothing is known."""

_FILE = re.compile(r"attributes_\d+(?P<hidden>_(?:train|test)_correspondence)?")
_TRUE_NAME = re.compile(
    r"section_\d+_(?P<domain>source|target)(?:_(?:train|test))?_(?P<label>normal|anomaly)_\d+(?:_(?P<condition>.*))?"
)
_OF_NAME = re.compile(r"section_\d+_(?P<domain>source|target)(?:_(?:train|test))?_(?P<label>normal|anomaly)_")


@dataclass
class Attributes:
    """What files beside the clips of one machine say of these.

    Attributes:
        columns: File stem -> its place and its attributes, of the year's table.
        hidden: File stem -> its condition, of the organisers' file of what they hid.
    """

    columns: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    hidden: dict[str, str] = field(default_factory=dict)
    _contradictions: list[str] = field(default_factory=list)

    def of(self, stem: str, told: Mapping[str, str]) -> dict[str, str]:
        """Attributes of a clip, of whose name `told` stems; where a table says otherwise, the name counts."""
        place, columns = self.columns.get(stem, ("", {}))
        attributes = columns | dict(told)
        if condition := told.get("condition"):
            own = condition_pairs(condition)
            if wrong := [name for name in own.keys() & columns.keys() if own[name] != columns[name]]:
                name = min(wrong)
                self._contradictions.append(
                    f"{place}: {name} is {columns[name]}, and {own[name]} by the name of {stem}"
                )
                attributes |= {name: own[name] for name in wrong}
        elif hidden := self.hidden.get(stem):
            attributes = condition_pairs(hidden) | attributes | {"condition": hidden}
        return attributes

    def tell_contradictions(self) -> None:
        """Warn of tables that contradict names, once."""
        if found := self._contradictions:
            rank_zero_warn(
                f"{found[0]}; {len(found)} such clip{'s' * (len(found) > 1)}: the names count, compare the table with"
                " the data set's own"
            )
            found.clear()


def read_attributes(folder: Path, *, hidden: bool = False) -> Attributes:
    """Read ``attributes_00.csv`` of a machine and, if they count, ``attributes_00_{train,test}_correspondence.csv``.

    Raises:
        ProtocolError: If a file has another form, or tells another label or domain than a clip's own name.
    """
    found = Attributes()
    for path in sorted(folder.glob("attributes_*.csv")):
        match = _FILE.fullmatch(path.stem)
        if not match:
            raise ProtocolError(
                f"{path}: neither attributes_00.csv nor attributes_00_train_correspondence.csv: rename or move it"
            )
        if not match["hidden"]:
            found.columns.update(_table(path))
        elif hidden:
            found.hidden.update(_correspondence(path))
    return found


def condition_pairs(condition: str) -> dict[str, str]:
    """``car_B1_mic_2_mic_1`` as ``{car: B1, mic: 2, mic_2: 1}``; nothing where it is no sequence of pairs."""
    words = condition.split("_")
    return {} if len(words) % 2 else _numbered(zip(words[::2], words[1::2], strict=True))


def _numbered(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Name -> value; a name that comes again is called ``name_2``, and so on."""
    found: dict[str, str] = {}
    for name, value in pairs:
        number, unique = 1, name
        while unique in found:
            number += 1
            unique = f"{name}_{number}"
        found[unique] = value
    return found


def _table(path: Path) -> Iterator[tuple[str, tuple[str, dict[str, str]]]]:
    """File stem -> place and attributes, of columns ``file_name, d1p, d1v, d2p, d2v, ...`` (name, value)."""
    for number, (name, *values) in _rows(path, "file_name"):
        pairs = zip(values[::2], values[1::2], strict=False)
        columns = _numbered((name, value) for name, value in pairs if name not in NO_ATTRIBUTE)
        yield _stem(name, path, number), (f"{path}:{number}", columns)


def _correspondence(path: Path) -> Iterator[tuple[str, str]]:
    """File stem -> hidden condition, of columns ``source_file_name, target_file_name`` (true name, published name)."""
    for number, row in _rows(path, "source_file_name"):
        true, name = (_stem(each, path, number) for each in (*row, "")[:2])
        match = _TRUE_NAME.fullmatch(true)
        if not match:
            raise ProtocolError(
                f"{path}:{number}: {true} is no true name, which is section_00_source_train_normal_0000_car_A1:"
                " compare with the organisers' file"
            )
        own = _OF_NAME.match(name)
        if own and (own["domain"], own["label"]) != (match["domain"], match["label"]):
            raise ProtocolError(
                f"{path}:{number}: {name} is {match['label']} and of {match['domain']} by this file,"
                f" {own['label']} and of {own['domain']} by its name: compare with the organisers' file"
            )
        if (condition := match["condition"] or "") not in NO_ATTRIBUTE:
            yield name, condition


def _rows(path: Path, head: str) -> Iterator[tuple[int, list[str]]]:
    """Line and fields of a table, without its heads."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            if row and row[0] != head:
                yield number, row


def _stem(name: str, path: Path, number: int) -> str:
    if not name.endswith(".wav"):
        raise ProtocolError(
            f"{path}:{number}: begins with {name!r} where the name of a .wav file was expected: compare with the data"
            " set's own table"
        )
    return Path(name).stem
