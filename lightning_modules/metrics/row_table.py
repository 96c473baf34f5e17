"""Rows of a whole split, gathered from all ranks, each clip once."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat


class RowTable(Metric):
    """Collects one row of numbers a clip, e.g. its embedding; rows with equal `index` count once, unless it is -1."""

    full_state_update = False
    index: list[Tensor]
    rows: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("index", "rows"):
            self.add_state(name, default=[], dist_reduce_fx="cat")
        self.columns = torch.Size()

    def update(self, rows: Tensor, index: Tensor) -> None:
        """Adds rows, (batch,) or (batch, dim), and the number of each clip in its split, int64 (batch,)."""
        self.columns = rows.shape[1:]
        self.index.append(index.detach())
        self.rows.append(rows.detach())

    def compute(self) -> Any:
        """Returns index (clip,), ascending, and rows; torchmetrics squeezes those of one element."""
        index, order = dim_zero_cat(self.index).sort(stable=True)
        first = torch.ones_like(index, dtype=torch.bool)
        first[1:] = (index[1:] != index[:-1]) | (index[1:] < 0)
        return index[first], dim_zero_cat(self.rows)[order][first]

    def gathered(self) -> tuple[Tensor, Tensor]:
        """Returns index (clip,), ascending, and rows as they were given, of all ranks, and forgets them."""
        index, rows = self.compute()
        self.reset()
        return index.flatten(), rows.reshape(-1, *self.columns)


class MeanTable(RowTable):
    """Averages the rows of equal `index`, e.g. those of a clip's views; repetitions by padded ranks change nothing."""

    def compute(self) -> Any:
        """Returns index (clip,), ascending, and mean rows."""
        rows = dim_zero_cat(self.rows)
        index, clip, count = dim_zero_cat(self.index).unique(return_inverse=True, return_counts=True)
        # In float64, where repetitions and their order do not reach the last bit of float32.
        total = rows.new_zeros(len(index), *rows.shape[1:], dtype=torch.double)
        total.index_add_(0, clip, rows.double())
        return index, (total / count.reshape(-1, *[1] * len(self.columns))).to(rows.dtype)
