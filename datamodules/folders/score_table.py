"""Scores of a user's own sounds, as CSV."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.files import write_csv


def write_score_table(
    path: str | Path,
    keys: Sequence[str],
    scores: NDArray[np.float32],
    heads: Mapping[str, Sequence[str]],
    decisions: Sequence[int] | None = None,
) -> Path:
    """Write ``key`` and one column a class or tag, or ``score`` and, with decisions, ``decision``.

    Args:
        path: File to write as a whole or not at all; it gets the suffix ``.csv``.
        keys: Of the clips.
        scores: (clip,), or (clip, class) of all heads side by side.
        heads: Name of each head -> its class names; several heads are tags, of absence and presence.
        decisions: 0 or 1 a clip that has one score.
    """
    if scores.ndim == 1:
        names, columns = ["score"], scores[:, None]
    elif len(heads) > 1:
        names, columns = list(heads), scores[:, 1::2]
    else:
        names, columns = list(next(iter(heads.values()))), scores
    rows = [
        [key, *(f"{score:.9g}" for score in row)] for key, row in zip(keys, columns.tolist(), strict=True)
    ]
    if decisions is not None and scores.ndim == 1:
        names = [*names, "decision"]
        rows = [[*row, str(decision)] for row, decision in zip(rows, decisions, strict=True)]
    return write_csv(Path(path).with_suffix(".csv"), [("key", *names), *rows])
