"""The best classes of a score."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from torch import Tensor

from lightning_modules.package.scorers import ClassScorer, Scorer


class Best(NamedTuple):
    """A class among the best: its head, its place from 1 on, its name, its column in a score."""

    head: str
    place: int
    name: str
    column: int


class ClassScores:
    """How the columns of a score are called.

    Args:
        heads: Head -> class names by index, heads side by side; empty where a score is one number.
        are_tags: Whether each head is a tag that is there or not.
    """

    def __init__(self, heads: Mapping[str, Sequence[str]], *, are_tags: bool = False) -> None:
        self.heads, self.are_tags = heads, are_tags

    @classmethod
    def of(cls, scorer: Scorer) -> "ClassScores":
        """Those of a scorer."""
        return cls(scorer.heads, are_tags=isinstance(scorer, ClassScorer) and scorer.is_multi_tag)

    @property
    def columns(self) -> list[str]:
        """``score``, or ``head/class`` of every column."""
        return [f"{head}/{name}" for head, names in self.heads.items() for name in names] or ["score"]

    def best(self, score: Tensor, top: int | None) -> list[Best]:
        """The `top` classes of every head of a score (class,), or the most probable tags.

        None is the best class of every head, whether a tag is there or not.
        """
        if self.are_tags and top is not None:
            tags = list(self.heads)
            order: list[int] = score[1::2].argsort(descending=True, stable=True)[:top].tolist()
            return [Best("tag", place, tags[tag], 2 * tag + 1) for place, tag in enumerate(order, start=1)]
        sizes = [len(names) for names in self.heads.values()]
        found: list[Best] = []
        for (head, names), part, first in zip(
            self.heads.items(), score.split(sizes), accumulate(sizes, initial=0), strict=False
        ):
            order = part.argsort(descending=True, stable=True)[: top or 1].tolist()
            found += [Best(head, place, names[row], first + row) for place, row in enumerate(order, start=1)]
        return found

    def cells(self, score: Tensor, top: int | None) -> list[str]:
        """A number, or the best classes and their probabilities in turn, as they are printed.

        >>> ClassScores({}).cells(Tensor([0.5])[0], None)
        ['0.5']
        """
        if not self.heads:
            return [f"{score:.9g}"]
        return [cell for each in self.best(score, top) for cell in (each.name, f"{score[each.column]:.4f}")]

    def line(self, words: Sequence[str], score: Tensor, top: int | None) -> str:
        """``KEY SCORE``, or ``KEY CLASS PROBABILITY ...`` between tabs."""
        return ("\t" if self.heads else " ").join([*words, *self.cells(score, top)])
