"""How often clips of several corpora are drawn for training."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Balance = Literal["none", "class", "corpus", "corpus_and_class"]


def chances(
    corpora: Sequence[str],
    targets: NDArray[np.int64],
    *,
    balance: Balance,
    weights: Mapping[str, float],
) -> NDArray[np.float64] | None:
    """Chances of clips to be drawn, float64 (clip,), that sum to 1; None where each is to be served once.

    With ``none`` a clip has its corpus's weight; with ``class`` this too, and the classes are drawn alike; with
    ``corpus`` whole corpora are drawn by their weights, however many clips they have; with ``corpus_and_class`` this
    too, and within each corpus its classes alike.

    Args:
        corpora: (clip,) corpus of each clip.
        targets: int64 (clip,), its class.
        balance: What is drawn alike.
        weights: Corpus -> weight; those that have none have 1.
    """
    names = {name: number for number, name in enumerate(dict.fromkeys(corpora))}
    if balance == "none" and len({weights.get(name, 1.0) for name in names}) == 1:
        return None
    corpus = np.array([names[name] for name in corpora])
    weight = np.array([weights.get(name, 1.0) for name in names])[corpus]
    _, label = np.unique(targets, return_inverse=True)
    if balance in {"none", "class"}:
        share = weight if balance == "none" else weight / np.bincount(label, weight)[label]
    else:
        cell = corpus * (label.max() + 1) + label if balance == "corpus_and_class" else corpus
        sizes = np.bincount(cell)
        first = np.unique(cell, return_index=True)[1]  # a clip of each cell
        share = weight / sizes[cell] / np.bincount(corpus[first])[corpus]
    return share / share.sum()
