"""Scores of a whole split, gathered from all ranks, each trial once."""

from typing import Any

import torch
from torch import Tensor

from lightning_modules.metrics.row_table import RowTable


class ScoreTable(RowTable):
    """Collects one score a trial; `compute` returns the table that every metric of a split is a function of.

    Distributed samplers repeat trials to fill the last batch. Here rows with equal `index` count once, and
    the table is sorted by it, so that results depend neither on the number of ranks nor on the padding.
    """

    def update(self, scores: Tensor, target: Tensor, index: Tensor | None = None) -> None:
        """Adds a batch.

        Args:
            scores: (batch,), any floating type; kept as float64, which is exact.
            target: int (batch,), class index.
            index: int64 (batch,), row of each trial in its split (`Batch.index`). None where no trial can
                come twice: these rows are all kept.
        """
        index = torch.full_like(target, -1) if index is None else index
        rows = torch.stack([scores.double().flatten(), target.double().flatten()], dim=1)
        super().update(rows, index.long().flatten())

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gathers the rows of all ranks; a rank without rows takes part with none, in the right types."""
        if not self.index:
            rows = torch.empty(0, 2, dtype=torch.float64, device=self.device)
            super().update(rows, rows[:, 0].long())
        super().sync(*args, **kwargs)

    def compute(self) -> Any:
        """Returns (index, scores, target), (trials,) each, sorted by index; of duplicates the first stays."""
        if not len(self.index):
            raise ValueError(f"{type(self).__name__} has no scores: call update before compute")
        index, rows = super().compute()
        scores, target = rows.unbind(dim=1)
        return index, scores, target.long()
