"""Halves of normal training clips: each is scored by what is fitted to the other."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lightning_modules.asd.backends.backend import Backend


def held_out(backends: list[Backend], embeddings: Tensor, cells: Tensor, cell: Tensor) -> Iterator[Tensor]:
    """Fits back ends to each half of the clips of every group and domain, and yields the rows of the other half.

    Args:
        backends: Fitted to one half when the other is yielded.
        embeddings: (n, dim).
        cells: (cell, 2), groups and domains, ascending.
        cell: (n,), which each clip is of.

    Yields:
        int64 (clip,), rows of clips that the back ends do not know.

    Raises:
        ValueError: A group has a single clip.
    """
    group, domain = cells[cell].unbind(dim=1)
    groups, number, counts = group.unique(return_inverse=True, return_counts=True)
    if (counts < 2).any():
        raise ValueError(
            f"group {groups[counts.argmin()].item()} has a single normal clip: scores of held-out clips need two"
        )
    order = cell.argsort(stable=True)  # domain after domain of a group, every second clip of them is held out
    place = torch.empty_like(cell)
    place[order] = torch.arange(len(cell), device=cell.device) - (counts.cumsum(0) - counts)[number[order]]
    for half in (0, 1):
        known = place % 2 != half
        for backend in backends:
            backend.fit(embeddings[known], group[known], domain[known])
        yield (~known).nonzero().flatten()
