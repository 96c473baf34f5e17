"""Score files of spoofing detectors (countermeasures)."""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightning_modules.metrics.asvspoof_protocols import Protocol
from lightning_modules.metrics.text_columns import as_numbers, check_unique, fail, first_fields, read_columns

_LAYOUTS = "'UTT SCORE' or 'UTT SYSTEM KEY SCORE'"
_ENDINGS = {".flac", ".wav"}


def read_scores(path: str | Path, protocol: Protocol) -> NDArray[np.float64]:
    """Reads a detector's score file, lines in any order.

    Args:
        path: ``UTT SCORE`` lines, ``UTT SYSTEM KEY SCORE`` lines, or a table whose header names ``filename``
            and ``cm-score``. Names of audio files in place of utterances are taken for theirs, which is told.
        protocol: What the file must cover.

    Returns:
        float64 (trials of `protocol.chosen`,), in the protocol's order.

    Raises:
        ValueError: Unknown layout, a score is not a finite number, an utterance is missing, double or
            unknown, or its key contradicts the protocol.
    """
    path = Path(path)
    fields = first_fields(path)
    has_header = {"filename", "cm-score"} <= set(fields)
    if has_header:
        wanted = [fields.index("filename"), fields.index("cm-score")]
    elif len(fields) in (2, 4):
        wanted = [0, 1] if len(fields) == 2 else [0, 3, 2]
    else:
        commas = " (commas separate no columns: replace them by blanks)" if "," in "".join(fields) else ""
        raise ValueError(
            f"{path}:1: {len(fields)} columns; expected {_LAYOUTS} or a header with 'filename' and 'cm-score'{commas}"
        )
    keys, texts, *labels = read_columns(path, wanted, width=len(fields), skip_header=has_header)
    keys = _utterances(path, keys, protocol)
    is_no_trial = not has_header and keys[0] not in set(protocol.keys) and not _is_number(texts[0])
    if is_no_trial and all(map(_is_number, texts[1:2])):
        fail(
            path,
            0,
            f"{' '.join(fields)!r} is no score; remove the header, or name its columns filename and cm-score",
        )
    scores = as_numbers(path, texts, keys, first_row=has_header)
    check_unique(path, keys, first_row=has_header)
    row_of = {key: row for row, key in enumerate(keys)}
    rows = np.array([row_of.get(key, -1) for key in protocol.keys])
    check_cover(path, keys, rows, protocol, first_row=has_header)
    if labels:
        _check_labels(path, labels[0], rows, protocol)
    return scores[rows[protocol.chosen]]


def _utterances(path: Path, keys: list[str], protocol: Protocol) -> list[str]:
    """The keys as the protocol has them, where the file has paths of audio in their place.

    Raises:
        ValueError: No key is an utterance, and another column has them.
    """
    known = set(protocol.keys)
    if not known.isdisjoint(keys):
        return keys
    stems = [Path(key).stem if Path(key).suffix in _ENDINGS else key for key in keys]
    if not known.isdisjoint(stems):
        print(f"note: {path}: {keys[0]} is taken for {stems[0]}, as are all others", file=sys.stderr)
        return stems
    with path.open(encoding="utf-8-sig") as file:
        lines = [line.split() for line in file if not line.isspace()]
    for number, line in enumerate(lines[:2]):
        for column, text in enumerate(line):
            if column and text.strip(",;'\"") in known:
                fail(
                    path,
                    number,
                    f"{text.rstrip(',;')} stands in column {column + 1}; expected {_LAYOUTS}, separated by blanks:"
                    " leave out what stands before it, and commas",
                )
    return keys


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def check_cover(
    path: Path, keys: list[str], rows: NDArray[np.int64], protocol: Protocol, *, first_row: int
) -> None:
    """Raises a ValueError where the score file and the protocol name different utterances."""
    missing = np.flatnonzero((rows < 0) & protocol.chosen)
    if len(missing):
        raise ValueError(
            f"{path}: no score for {protocol.keys[missing[0]]} and {len(missing) - 1} others of "
            f"{protocol.path}; score every trial, or check partition and subset"
        )
    if (rows >= 0).sum() < len(keys):
        unknown = set(keys).difference(protocol.keys)
        row = next(row for row, key in enumerate(keys) if key in unknown)
        fail(
            path,
            row + first_row,
            f"{keys[row]} and {len(unknown) - 1} others are not in {protocol.path}; check the partition",
        )


def _check_labels(path: Path, labels: list[str], rows: NDArray[np.int64], protocol: Protocol) -> None:
    """Raises a ValueError where the score file's key column contradicts the protocol."""
    expected = np.where(protocol.is_bonafide, "bonafide", "spoof")
    scored = rows >= 0
    wrong = np.flatnonzero(scored)[np.array(labels)[rows[scored]] != expected[scored]]
    if len(wrong):
        key, row = protocol.keys[wrong[0]], int(rows[wrong[0]])
        fail(path, row, f"key {labels[row]!r} of {key}, but {protocol.path} says {str(expected[wrong[0]])!r}")
