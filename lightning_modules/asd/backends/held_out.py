"""Halves of normal training clips: each is scored by what is fitted to the other."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lightning_modules.asd.backends.backend import Backend


def held_out(backends: list[Backend], embeddings: Tensor, cells: Tensor, cell: Tensor) -> Iterator[Tensor]:
    """Fits back ends to each half of the clips of every cell, and yields the rows of the other half.

    Args:
        backends: Fitted to a half when the other is yielded, at last to the second.
        embeddings: (n, dim).
        cells: (cell, 2), their groups and domains.
        cell: (n,), which each clip is of.

    Yields:
        int64 (clip,), rows of clips that the back ends do not know.

    Raises:
        ValueError: A cell has a single clip.
    """
    counts = cell.bincount()
    if (counts < 2).any():
        group, domain = cells[counts.argmin()].tolist()
        raise ValueError(
            f"group {group} has a single normal clip of domain {domain}: scores of held-out clips need two at least"
        )
    order = cell.argsort(stable=True)
    place = torch.empty_like(cell)
    place[order] = torch.arange(len(cell), device=cell.device) - (counts.cumsum(0) - counts)[cell[order]]
    group, domain = cells[cell].unbind(dim=1)
    for half in (0, 1):
        known = place % 2 != half
        for backend in backends:
            backend.fit(embeddings[known], group[known], domain[known])
        yield (~known).nonzero().flatten()
