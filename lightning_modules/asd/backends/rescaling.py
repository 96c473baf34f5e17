"""Distances from normal embeddings, measured by how far apart normal embeddings are at that place."""

import torch
from torch import Tensor

from lightning_modules.asd.backends.domain_distances import Domains
from lightning_modules.asd.backends.nearest_neighbours import Metric, NearestNeighbours
from lightning_modules.asd.backends.neighbours import nearest

_LEAST = 1e-6  # of the mean scale: what equal clips, at no distance of each other, are measured by


class Rescaled(NearestNeighbours):
    """Least distance from a normal embedding over the mean distance of that one from its nearest others.

    A loud or a rare state of a machine spreads more widely than others, by which distances of its clips are larger
    (Wilkinghoff, "Keeping the balance: anomaly score calculation for domain generalization", ICASSP 2025). Distances
    are lengths of differences, of "cosine" between embeddings of length 1.

    Args:
        neighbours: Others that the scale of a normal embedding is the mean distance from; all where there are fewer.
        metric: As in `NearestNeighbours`.
        normalize: Scale embeddings to length 1 first, as "cosine" always does.
        domains: "pooled" knows one bank, in whose scales domains become comparable; see `DomainDistances`.
    """

    scale: Tensor

    def __init__(
        self,
        neighbours: int = 4,
        metric: Metric = "cosine",
        *,
        normalize: bool = False,
        domains: Domains = "pooled",
    ) -> None:
        super().__init__(1, metric, normalize=normalize, domains=domains)
        if neighbours < 1:
            raise ValueError(f"neighbours={neighbours}: expected at least 1")
        self.neighbours = neighbours
        self.register_buffer("scale", torch.empty(0, dtype=torch.float64), persistent=False)  # (n,)

    def _fit_cells(self, embeddings: Tensor, cell: Tensor) -> None:
        super()._fit_cells(embeddings, cell)
        self.scale = torch.cat([self._scales(number) for number in range(len(self.cells))])

    def _scales(self, cell: int) -> Tensor:
        """float64 (n,) of a cell's bank."""
        bank = self._bank(cell)
        lengths = nearest(bank, bank, self._num_others(cell) + 1).distance[
            :, 1:
        ]  # the first is the clip itself
        scales = self._scale(lengths)
        if not scales.any():  # a single clip, or equal ones: plain distances
            return torch.ones_like(scales)
        return scales.clamp(min=_LEAST * scales.mean())

    def _num_others(self, cell: int) -> int:
        return self.neighbours

    def _scale(self, lengths: Tensor) -> Tensor:
        """Scales (n,) by distances (n, others) from others, of which there may be none."""
        return lengths.mean(dim=1) if lengths.numel() else lengths.sum(dim=1)

    def _distance(self, embeddings: Tensor, cell: int) -> Tensor:
        scale = self.scale.split(self.bank_sizes.tolist())[cell]
        return nearest(embeddings, self._bank(cell), 1, scale).distance[:, 0]


class LocalDensity(Rescaled):
    """Least distance from a normal embedding over the sum of that one's distances from its nearest others.

    Domains have banks and numbers of neighbours of their own, and the smaller score counts.

    Args:
        source: Nearest others of a source clip whose distances are added up; all where there are fewer.
        target: Those of a target clip.
        metric: As in `NearestNeighbours`.
        normalize: Scale embeddings to length 1 first, as "cosine" always does.
    """

    def __init__(
        self, source: int = 16, target: int = 9, metric: Metric = "euclidean", *, normalize: bool = False
    ) -> None:
        for name, value in (("source", source), ("target", target)):
            if value < 1:
                raise ValueError(f"{name}={value}: expected at least 1 neighbour")
        super().__init__(source, metric, normalize=normalize, domains="smaller")
        self.source, self.target = source, target

    def _num_others(self, cell: int) -> int:
        return self.target if self.cells[cell, 1] else self.source

    def _scale(self, lengths: Tensor) -> Tensor:
        return lengths.sum(dim=1)
