"""Scores of a whole split, gathered from all ranks, each trial once."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

STATES = {"index": torch.int64, "scores": torch.float64, "target": torch.int64}


class ScoreTable(Metric):
    """Collects one score a trial; `compute` returns the table that every metric of a split is a function of.

    Distributed samplers repeat trials to fill the last batch. Here rows with equal `index` count once, and
    the table is sorted by it, so that results depend neither on the number of ranks nor on the padding.
    """

    full_state_update = False
    index: list[Tensor]
    scores: list[Tensor]
    target: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in STATES:
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, scores: Tensor, target: Tensor, index: Tensor | None = None) -> None:
        """Adds a batch.

        Args:
            scores: (batch,), any floating type; kept as float64, which is exact.
            target: int (batch,), class index.
            index: int64 (batch,), row of each trial in its split (`Batch.index`). None where no trial can
                come twice: these rows are all kept.
        """
        if index is None:
            index = torch.full_like(target, -1)
        self.index.append(index.detach().long().flatten())
        self.scores.append(scores.detach().double().flatten())
        self.target.append(target.detach().long().flatten())

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gathers the rows of all ranks; a rank without rows takes part with none, in the right types."""
        for name, dtype in STATES.items():
            if not getattr(self, name):
                setattr(self, name, [torch.empty(0, dtype=dtype, device=self.device)])
        super().sync(*args, **kwargs)

    def compute(self) -> Any:
        """Returns (index, scores, target), (trials,) each, sorted by index; of duplicates the first stays."""
        if not len(self.index):
            raise ValueError(f"{type(self).__name__} has no scores: call update before compute")
        index, order = dim_zero_cat(self.index).sort(stable=True)
        scores, target = dim_zero_cat(self.scores)[order], dim_zero_cat(self.target)[order]
        first = torch.ones_like(index, dtype=torch.bool)
        first[1:] = (index[1:] != index[:-1]) | (index[1:] < 0)
        return index[first], scores[first], target[first]
