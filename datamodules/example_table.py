"""Tables of examples: inputs, or audio files, and the control values that they shall give."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.files import write_text_atomically
from datamodules.protocol import ProtocolError, read_table

Outputs = Mapping[str, Sequence[str]]
"""Output -> its class names by index; none where it is continuous."""


@dataclass(frozen=True, kw_only=True)
class ExampleTable:
    """The rows of one file.

    Attributes:
        keys: Column ``key``, else the audio file, else the number of the row from 1.
        paths: Audio files; empty where the inputs are numbers.
        input_names: Columns that are neither outputs nor key.
        inputs: float32 (example, input); (example, 0) with audio files.
        outputs: float32 (example, output), values or class indices.
    """

    keys: list[str]
    paths: list[str]
    input_names: list[str]
    inputs: NDArray[np.float32]
    outputs: NDArray[np.float32]


def read_examples(path: Path, outputs: Outputs) -> ExampleTable:
    """Reads a CSV file with a header: the named outputs, ``key`` if it has one, ``path`` or inputs.

    Audio files are relative to the folder of the file.

    Raises:
        ProtocolError: A column is missing, or a value is no number or of an unknown class.
    """
    rows = read_table(path)
    place, header = next(rows)
    if absent := [name for name in outputs if name not in header]:
        raise ProtocolError(
            f"{place}: no column {absent[0]!r} in {header}: name the columns of the file in data.outputs and"
            " data.class_outputs"
        )
    rest = [name for name in header if name not in outputs and name != "key"]
    is_audio = "path" in rest
    input_names = [] if is_audio else rest
    if not rest or len(set(header)) < len(header):
        raise ProtocolError(
            f"{place}: {header} must hold inputs or a path beside the outputs, each name once"
        )
    table = [(where, dict(zip(header, columns, strict=True))) for where, columns in rows]
    if not table:
        raise ProtocolError(f"{path}: no example below the header: add one row an example")
    paths = [str(path.parent / row["path"]) for _, row in table] if is_audio else []
    names = [row["path"] for _, row in table] if is_audio else [str(i + 1) for i in range(len(table))]
    return ExampleTable(
        keys=[row.get("key", name) for (_, row), name in zip(table, names, strict=True)],
        paths=paths,
        input_names=input_names,
        inputs=_array([[_number(where, name, row[name]) for name in input_names] for where, row in table]),
        outputs=_array(
            [
                [
                    _class(where, name, row[name], classes) if classes else _number(where, name, row[name])
                    for name, classes in outputs.items()
                ]
                for where, row in table
            ]
        ),
    )


def class_names(path: Path, column: str) -> list[str]:
    """The different values of a column, sorted."""
    rows = read_table(path)
    place, header = next(rows)
    if column not in header:
        raise ProtocolError(f"{place}: no column {column!r} in {header}: correct data.class_outputs")
    return sorted({columns[header.index(column)] for _, columns in rows})


def write_columns(path: str | Path, columns: Mapping[str, Sequence[str | float]]) -> None:
    """Writes a CSV file that `read_examples` reads; nine digits give a float32 back exactly."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for values in zip(*columns.values(), strict=True):
        writer.writerow([value if isinstance(value, str) else f"{value:.9g}" for value in values])
    write_text_atomically(path, text.getvalue())


def _array(rows: list[list[float]]) -> NDArray[np.float32]:
    return np.array(rows, np.float32).reshape(len(rows), -1)


def _number(place: str, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise ProtocolError(
            f"{place}: {name} is {text!r} where a number was expected: correct it, or name a column of classes in"
            " data.class_outputs"
        )
    return value


def _class(place: str, name: str, text: str, classes: Sequence[str]) -> int:
    if text not in classes:
        raise ProtocolError(f"{place}: {name} is {text!r}, and train.csv knows {list(classes)}: correct it")
    return classes.index(text)
