"""Submissions to the action recognition challenge of EPIC-KITCHENS-100: a ZIP file that holds ``test.json``.

Source: https://github.com/epic-kitchens/C1-Action-Recognition, format 0.2; levels of supervision:
https://github.com/epic-kitchens/sls.
"""

import json
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datamodules.files import replacing

NUM_VERBS, NUM_NOUNS = 97, 300


def write_submission(
    path: str | Path, keys: Sequence[str], probabilities: ArrayLike, *, supervision: Mapping[str, int]
) -> Path:
    """Write the logarithms of probabilities: the challenge takes a softmax, which gives the probabilities back.

    Args:
        path: The file, whose suffix becomes ``.zip``.
        keys: Narration ids.
        probabilities: float (clip, 397), of verbs, then of nouns.
        supervision: Levels ``sls_pt``, ``sls_tl`` and ``sls_td``.

    Returns:
        The file.

    Raises:
        ValueError: If the shape is another, an id occurs twice, or a probability is not in [0, 1].
    """
    path, table = Path(path).with_suffix(".zip"), np.asarray(probabilities, np.float32)
    _check(path, keys, table)
    logits = np.log(table.clip(min=np.finfo(np.float32).tiny))  # JSON knows no infinity
    entry = zipfile.ZipInfo("test.json")  # dated 1980: equal scores make equal files
    entry.compress_type = zipfile.ZIP_DEFLATED
    with replacing(path) as archive, zipfile.ZipFile(archive, "w") as file, file.open(entry, "w") as member:
        for text in _json(keys, logits, supervision):
            member.write(text.encode())
    return path


def _check(path: Path, keys: Sequence[str], table: NDArray[np.float32]) -> None:
    if table.shape != (len(keys), NUM_VERBS + NUM_NOUNS):
        raise ValueError(
            f"{path}: scores of shape {table.shape} for {len(keys)} clips: expected ({len(keys)}, 397), 97 verbs and"
            " 300 nouns side by side"
        )
    if twins := [key for key, count in Counter(keys).items() if count > 1]:
        raise ValueError(f"{path}: narration id {twins[0]} occurs twice: give one row each")
    wrong = ~((table >= 0) & (table <= 1 + 1e-3)).all(axis=1)
    if wrong.any():
        raise ValueError(
            f"{path}: scores of {keys[int(wrong.argmax())]} and {wrong.sum() - 1} others are no probabilities:"
            " look for NaN in training"
        )


def _json(keys: Sequence[str], logits: NDArray[np.float32], supervision: Mapping[str, int]) -> Iterator[str]:
    """The document, a clip at a time: 13,092 clips of 397 scores are 105 MB of text."""
    head = {"version": "0.2", "challenge": "action_recognition", **supervision}
    yield json.dumps(head)[:-1] + ', "results": {'
    for row, (key, scores) in enumerate(zip(keys, logits, strict=True)):
        yield f'{", " * (row > 0)}{json.dumps(key)}: {{"verb": {_object(scores[:NUM_VERBS])}'
        yield f', "noun": {_object(scores[NUM_VERBS:])}}}'
    yield "}}"


def _object(scores: NDArray[np.float32]) -> str:
    # nine digits give a float32 back exactly
    return "{" + ", ".join(f'"{index}": {score:.9g}' for index, score in enumerate(scores.tolist())) + "}"
