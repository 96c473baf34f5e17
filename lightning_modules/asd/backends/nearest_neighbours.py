"""Distance from the nearest normal embeddings."""

from typing import Literal

import torch
from torch import Tensor

from lightning_modules.asd.backends.domain_distances import DomainDistances, Domains
from lightning_modules.asd.backends.neighbours import nearest

Metric = Literal["cosine", "euclidean"]


class NearestNeighbours(DomainDistances):
    """Mean distance to the k nearest normal embeddings, all of them where a group has fewer.

    Args:
        k: Neighbours.
        metric: "cosine" is 1 - cos, in [0, 2], half the squared distance of embeddings of length 1; "euclidean" the
            length of the difference.
        normalize: Scale embeddings to length 1 first, as "cosine" always does; "euclidean" then ranks single
            neighbours as it does.
        domains: See `DomainDistances`.
        distances_at_once: Bounds the memory.
    """

    bank: Tensor
    bank_sizes: Tensor

    def __init__(
        self,
        k: int = 1,
        metric: Metric = "cosine",
        *,
        normalize: bool = False,
        domains: Domains = "smaller",
        distances_at_once: int = 2**24,
    ) -> None:
        super().__init__(normalize=normalize or metric == "cosine", domains=domains)
        if k < 1:
            raise ValueError(f"k={k}: expected at least 1 neighbour")
        if metric not in {"cosine", "euclidean"}:
            raise ValueError(f"metric={metric!r} must be cosine or euclidean")
        self.k = k
        self.metric: Metric = metric
        self.distances_at_once = distances_at_once
        self.register_buffer("bank", torch.empty(0, 0), persistent=False)  # (n, dim), cell after cell
        self.register_buffer("bank_sizes", torch.empty(0, dtype=torch.long), persistent=False)  # (cell,)

    def _fit_cells(self, embeddings: Tensor, cell: Tensor) -> None:
        self.bank = embeddings[cell.argsort(stable=True)]
        self.bank_sizes = cell.bincount()

    def _bank(self, cell: int) -> Tensor:
        return self.bank.split(self.bank_sizes.tolist())[cell]

    def _distance(self, embeddings: Tensor, cell: int) -> Tensor:
        bank = self._bank(cell)
        lengths = nearest(embeddings, bank, self.k, distances_at_once=self.distances_at_once).distance
        return (lengths.square() / 2 if self.metric == "cosine" else lengths).mean(dim=1)
