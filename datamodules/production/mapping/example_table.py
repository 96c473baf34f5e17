"""Tables of examples: inputs, or audio files, and the control values that they shall give."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.files import write_csv
from datamodules.protocol import ProtocolError, read_table

Outputs = Mapping[str, Sequence[str]]
"""Output -> its class names by index; none where it is continuous."""


class Example(NamedTuple):
    """One row of a file.

    Attributes:
        key: Column ``key``, else the audio file, else the number of the row from 1.
        inputs: float32 (input,); (0,) of an audio file.
        outputs: float32 (output,), values or class indices.
        path: Audio file; None where the inputs are numbers.
    """

    key: str
    inputs: NDArray[np.float32]
    outputs: NDArray[np.float32]
    path: Path | None = None


def read_examples(path: Path, outputs: Outputs) -> tuple[list[str], list[Example]]:
    """Reads a CSV file with a header: the named outputs, ``key`` if it has one, ``path`` or inputs.

    Audio files are relative to the folder of the file.

    Returns:
        The names of the inputs, which are none with audio files, and the rows.

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
    examples = []
    for number, (where, columns) in enumerate(rows, start=1):
        row = dict(zip(header, columns, strict=True))
        values = [
            _class(where, name, row[name], classes) if classes else _number(where, name, row[name])
            for name, classes in outputs.items()
        ]
        examples.append(
            Example(
                key=row.get("key", row["path"] if is_audio else str(number)),
                inputs=np.array([_number(where, name, row[name]) for name in input_names], np.float32),
                outputs=np.array(values, np.float32),
                path=path.parent / row["path"] if is_audio else None,
            )
        )
    if not examples:
        raise ProtocolError(f"{path}: no example below the header: add one row an example")
    return input_names, examples


def class_names(path: Path, column: str) -> list[str]:
    """The different values of a column, sorted."""
    rows = read_table(path)
    place, header = next(rows)
    if column not in header:
        raise ProtocolError(f"{place}: no column {column!r} in {header}: correct data.class_outputs")
    return sorted({columns[header.index(column)] for _, columns in rows})


def write_columns(path: str | Path, columns: Mapping[str, Sequence[str | float]]) -> Path:
    """Writes a CSV file that `read_examples` reads and returns it; nine digits give a float32 back exactly."""
    rows = zip(*columns.values(), strict=True)
    texts = ([value if isinstance(value, str) else f"{value:.9g}" for value in row] for row in rows)
    return write_csv(path, [columns, *texts])


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
