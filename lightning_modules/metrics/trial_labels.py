"""Words that lists of trials have for bona fide and spoofed speech."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

WORDS = {
    "bonafide": True,
    "bona-fide": True,
    "genuine": True,
    "human": True,
    "real": True,
    "spoof": False,
    "spoofed": False,
    "fake": False,
    "deepfake": False,
}
NUMBERS = frozenset({"0", "1"})


def are_labels(texts: Collection[str]) -> bool:
    """Whether all of them are labels, in words or as 0 and 1."""
    found = {text.lower() for text in set(texts)}
    return found <= WORDS.keys() or found <= NUMBERS


def unknown_label(texts: Collection[str], bonafide: str | None = None) -> str | None:
    """One that says neither bona fide nor spoofed, or None; `bonafide` is the word for bona fide, if it is another."""
    found = set(texts)
    if bonafide is not None:
        return None if bonafide in found else min(found)
    return min((text for text in found if text.lower() not in WORDS), default=None)


def is_bonafide(texts: Collection[str], bonafide: str | None = None) -> NDArray[np.bool_]:
    """Labels (trials,), all of them known; with `bonafide`, whatever differs from that is spoofed."""
    if bonafide is not None:
        return np.array([text == bonafide for text in texts])
    return np.array([WORDS[text.lower()] for text in texts])
