"""What an evaluation found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Row = Mapping[str, str | int | float]


@dataclass(kw_only=True)
class Report:
    """The evaluation of one split.

    Attributes:
        keys: Ids of the scored clips.
        scores: One score a clip, in the same order, or a row of them.
        metrics: The figures that sum the split up; they become the row of results.csv.
        table: Breakdown, e.g. one row an attack; all rows have the same columns.
        tables: Further tables, by the name that their files end in.
        trials: Columns of a table with a row a trial, by name; none of methods without trials of two classes.
        columns: More of results.csv, such as how thresholds were found.
        data: Which clips were scored, e.g. how much of the data set's list; a column of results.csv.
        decisions: 1 where the score is above the method's own threshold, 0 where not; None without thresholds.
        figures: Name -> figure, saved as PNG and sent to W&B.
        warnings: What the reader must know before trusting the figures.
    """

    keys: Sequence[str]
    scores: Sequence[float] | np.ndarray
    metrics: Mapping[str, float]
    table: Sequence[Row] = ()
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    trials: Mapping[str, Sequence[str]] = field(default_factory=dict)
    columns: Mapping[str, str | float] = field(default_factory=dict)
    data: str = ""
    decisions: Sequence[int] | None = None
    figures: Mapping[str, "Figure"] = field(default_factory=dict)
    warnings: Sequence[str] = ()
