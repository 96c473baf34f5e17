"""Conditions of an evaluation: per attack, per codec, per attack and codec, pooled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Factor:
    """A column of the protocol by whose values results are broken down.

    Attributes:
        column: Its name in `ScoreArrays.groups`.
        among: The trials it filters. An attack filters spoofed trials only and meets all bona fide ones; a
            codec filters both.
        label: How results call it.
    """

    column: str
    among: Literal["both", "spoof", "bonafide"] = "both"
    label: str = ""

    @property
    def name(self) -> str:
        """The label, by default the column."""
        return self.label or self.column


Condition = tuple[tuple[Factor, str], ...]  # () is pooled


@dataclass(frozen=True, slots=True)
class Groups:
    """Trials as evaluation groups them.

    Attributes:
        columns: Column name -> str (trials,).
        is_bonafide: bool (trials,).
    """

    columns: Mapping[str, NDArray[np.str_]]
    is_bonafide: NDArray[np.bool_]
    _equal: dict[tuple[str, str], NDArray[np.bool_]] = field(default_factory=dict, repr=False)

    def members(self, condition: Condition) -> NDArray[np.bool_]:
        """Trials of a condition, bool (trials,); a column that these trials lack filters nothing."""
        keep = np.ones_like(self.is_bonafide)
        for factor, value in condition:
            if factor.column in self.columns:
                keep &= self._equals(factor.column, value) | ~self._filtered(factor)
        return keep

    def values(self, factor: Factor) -> list[str]:
        """The factor's values among the trials that it filters, sorted; none where all trials share one."""
        if factor.column not in self.columns:
            return []
        found = np.unique(self.columns[factor.column][self._filtered(factor)]).tolist()
        return found if len(found) > 1 else []

    def _equals(self, column: str, value: str) -> NDArray[np.bool_]:
        if (column, value) not in self._equal:
            self._equal[column, value] = self.columns[column] == value
        return self._equal[column, value]

    def _filtered(self, factor: Factor) -> NDArray[np.bool_]:
        sides = {"both": np.True_, "spoof": ~self.is_bonafide, "bonafide": self.is_bonafide}
        return np.broadcast_to(sides[factor.among], self.is_bonafide.shape)


def conditions(groups: Groups, rows: Sequence[Factor], columns: Sequence[Factor]) -> list[Condition]:
    """Pooled, each value of each factor, and every row value crossed with every column value."""
    row_values, column_values = (
        [((factor, value),) for factor in factors for value in groups.values(factor)]
        for factors in (rows, columns)
    )
    crossed = [row + column for row in row_values for column in column_values]
    return [(), *row_values, *column_values, *crossed]
