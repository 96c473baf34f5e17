"""From the probabilities of a sound to its tags."""

from collections.abc import Sequence
from typing import NamedTuple

from lightning_modules.library.journal import HIDDEN

UNSURE = "_unsure"
"""Folder of what no tag fits well enough."""


class Rule(NamedTuple):
    """How a sound gets its tags.

    Attributes:
        num_tags: Tags a sound at most, the most probable ones.
        threshold: Least probability of a tag.
    """

    num_tags: int = 1
    threshold: float = 0.0

    def tags(self, probabilities: Sequence[float], classes: Sequence[str]) -> list[str]:
        """Tags from the most probable on, or `UNSURE` alone."""
        best = sorted(range(len(classes)), key=lambda index: -probabilities[index])[: self.num_tags]
        return [classes[index] for index in best if probabilities[index] >= self.threshold] or [UNSURE]


def check_classes(classes: Sequence[str]) -> None:
    """Refuse classes that are no names of folders.

    Raises:
        ValueError: With the first of them.
    """
    for name in classes:
        if not name or "/" in name or "\0" in name or name in {".", "..", HIDDEN, UNSURE}:
            raise ValueError(f"class {name!r} cannot name a folder: train the tagger on other names")
