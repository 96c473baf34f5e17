"""Tables of a spoofing detector's trials, a row each: key, label, score and what else is known of the utterance."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from datamodules.clips import Clip  # and with it torch, which reading does without

LABELS = ("spoof", "bonafide")
FIRST = ("corpus", "attack", "codec", "language", "speaker")
"""The attributes that come first, in this order, where clips have them."""


class Trials(NamedTuple):
    """Labelled scores, higher = bona fide.

    Attributes:
        scores: float64 (trial,).
        is_bonafide: bool (trial,).
    """

    scores: NDArray[np.float64]
    is_bonafide: NDArray[np.bool_]


def trial_columns(clips: Sequence["Clip"], scores: Sequence[float]) -> dict[str, list[str]]:
    """Columns of the table of scored clips; scores have nine digits, which give a float32 back exactly."""
    known = {
        name
        for attributes in {id(clip.attributes): clip.attributes for clip in clips}.values()
        for name in attributes
    }
    names = [*(name for name in FIRST if name in known), *sorted(known.difference(FIRST))]
    return {
        "key": [clip.key for clip in clips],
        "label": [LABELS[clip.target] for clip in clips],  # pyright: ignore[reportArgumentType, reportCallIssue]
        "score": [f"{score:.9g}" for score in scores],
        **{name: [clip.attributes.get(name, "") for clip in clips] for name in names},
    }


def read_trials(path: str | Path) -> Trials:
    """Reads labels and scores of a table, a million rows in half a second.

    Raises:
        ValueError: It is missing, lacks a column, has no rows, or a label or score is wrong; names file and line.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file: evaluate it again, or remove its row")
    with path.open(newline="", encoding="utf-8") as file:
        head = next(csv.reader(file), [])
    for name in ("label", "score"):
        if name not in head:
            raise ValueError(f"{path}:1: no column {name!r}; a table of trials has key, label and score")
    try:
        table = np.loadtxt(
            path,
            dtype=[("label", "U9"), ("score", np.float64)],
            delimiter=",",
            quotechar='"',
            comments=None,
            skiprows=1,
            usecols=(head.index("label"), head.index("score")),
            encoding="utf-8",
            ndmin=1,
        )
    except ValueError:
        _name_fault(path, head)
        raise
    is_bonafide = table["label"] == "bonafide"
    if (
        not len(table)
        or not np.isfinite(table["score"]).all()
        or (is_bonafide | (table["label"] == "spoof")).sum() < len(table)
    ):
        _name_fault(path, head)
    return Trials(np.ascontiguousarray(table["score"]), is_bonafide)


def _name_fault(path: Path, head: Sequence[str]) -> None:
    """Raises a ValueError that names the first wrong line."""
    label, score = head.index("label"), head.index("score")
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        next(rows)
        for row in rows:
            place = f"{path}:{rows.line_num}"
            if len(row) != len(head):
                raise ValueError(f"{place}: {len(row)} columns, expected {len(head)} as in the first line")
            if row[label] not in LABELS:
                raise ValueError(
                    f"{place}: label {row[label]!r} is neither spoof nor bonafide: correct the line"
                )
            if not _is_finite(row[score]):
                raise ValueError(
                    f"{place}: score {row[score]!r} of {row[0]} is not a finite number; evaluate it again"
                )
    raise ValueError(f"{path}: the file has no trials")


def _is_finite(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
