"""Score files of spoofing detectors (countermeasures)."""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightning_modules.metrics.asvspoof_protocols import Protocol
from lightning_modules.metrics.trial_files import TrialFile, read_trial_file
from lightning_modules.metrics.trial_ids import align
from lightning_modules.metrics.trial_labels import NUMBERS


def read_scores(path: str | Path, protocol: Protocol) -> NDArray[np.float64]:
    """Reads a detector's score file, lines in any order.

    Args:
        path: As `read_trial_file` understands it. Names of audio files in place of utterances are taken for theirs.
        protocol: What the file must cover.

    Returns:
        float64 (trials of `protocol.chosen`,), in the protocol's order.

    Raises:
        ValueError: Unknown layout, a score is not a finite number, an utterance is missing, double or
            unknown, or its key contradicts the protocol.
    """
    return scores_of(read_trial_file(path), protocol)


def scores_of(file: TrialFile, protocol: Protocol) -> NDArray[np.float64]:
    """Scores of the trials under evaluation, as in `read_scores`; one line tells what was taken for what."""
    if file.scores is None:
        raise ValueError(f"{file.path}: no scores in it; expected lines 'UTT SCORE', or a column named score")
    try:
        names, keys, told = align([protocol.keys, *protocol.other_names], file.names)
    except ValueError as error:
        raise ValueError(
            f"{file.path}: cannot tell which trial of {protocol.path} is meant: {error}"
        ) from None
    _tell(file, protocol, told)
    file.check_unique(keys)
    row_of = {key: row for row, key in enumerate(keys)}
    rows = np.array([row_of.get(name, -1) for name in names])
    check_cover(file, keys, rows, protocol)
    _check_labels(file, rows, protocol)
    return file.scores[rows[protocol.chosen]]


def _tell(file: TrialFile, protocol: Protocol, ids: str) -> None:
    """Says in one line what was taken for what, where that is not the usual."""
    of_key = f"{protocol.path}: {protocol.taken}" if protocol.taken and protocol.path != file.path else ""
    of_scores = f"{file.path}: {'; '.join(filter(None, (file.taken, ids)))}" if file.taken or ids else ""
    if of_key or of_scores:
        print("note:", "; ".join(filter(None, (of_key, of_scores))), file=sys.stderr)


def check_cover(file: TrialFile, keys: list[str], rows: NDArray[np.int64], protocol: Protocol) -> None:
    """Raises a ValueError where the score file and the protocol name different utterances."""
    missing = np.flatnonzero((rows < 0) & protocol.chosen)
    if len(missing):
        raise ValueError(
            f"{file.path}: no score for {protocol.keys[missing[0]]} and {len(missing) - 1} others of "
            f"{protocol.path}; score every trial, or check partition and subset"
        )
    if (rows >= 0).sum() < len(keys):
        is_unknown = np.ones(len(keys), bool)
        is_unknown[rows[rows >= 0]] = False
        row = int(is_unknown.argmax())
        file.fail(
            row,
            f"{file.names[0][row]} and {is_unknown.sum() - 1} others are not in {protocol.path}; check the partition",
        )


def _check_labels(file: TrialFile, rows: NDArray[np.int64], protocol: Protocol) -> None:
    """Raises a ValueError where the score file's labels contradict the protocol."""
    if file.labels is None or (file.bonafide is None and set(file.labels) <= NUMBERS):
        return
    scored = np.flatnonzero(rows >= 0)
    wrong = scored[file.is_bonafide()[rows[scored]] != protocol.is_bonafide[scored]]
    if len(wrong):
        key, row = protocol.keys[wrong[0]], int(rows[wrong[0]])
        expected = "bonafide" if protocol.is_bonafide[wrong[0]] else "spoof"
        file.fail(row, f"key {file.labels[row]!r} of {key}, but {protocol.path} says {expected!r}")
