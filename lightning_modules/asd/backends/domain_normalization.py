"""Distances from source and target, made comparable by their means and deviations before the smaller one counts.

A domain of many clips is known more closely than one of ten: the distance from ten is larger for every clip, and hardly
ever the smaller one.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from lightning_modules.asd.backends.backend import Backend
from lightning_modules.asd.backends.domain_distances import DomainDistances
from lightning_modules.asd.backends.held_out import held_out
from lightning_modules.asd.backends.nearest_neighbours import NearestNeighbours


class _Normalized(Backend):
    """The smaller one of standardised distances from domains."""

    def __init__(self, backend: DomainDistances | None = None) -> None:
        super().__init__()
        backend = NearestNeighbours() if backend is None else backend
        if backend.domains == "pooled":
            raise ValueError(f"{type(self).__name__} of pooled domains: set domains=smaller in its back end")
        self.backend = backend

    def _fit(self, embeddings: Tensor, cell: Tensor) -> None:
        group, domain = self.cells[cell].unbind(dim=1)
        self.backend.fit(embeddings, group, domain)

    def _score(self, embeddings: Tensor, group: Tensor) -> Tensor:
        distances = self.backend.distances(embeddings, group)
        for number in group.unique().tolist():
            rows = group == number
            mean, deviation = self._moments(distances[rows], number)
            distances[rows] = (distances[rows] - mean) / deviation
        return distances.amin(dim=1)

    @abstractmethod
    def _moments(self, distances: Tensor, group: int) -> tuple[Tensor, Tensor]:
        """Mean and deviation (domain,) by which distances (batch, domain) of a group are standardised."""


class DomainNormalized(_Normalized):
    """The smaller distance after each domain's is standardised over the group's training clips.

    Mean and deviation are those of both domains' training clips, each half of which is scored by the other half.

    Args:
        backend: Whose distances; its domains are kept apart. None is `NearestNeighbours`.
    """

    moments: Tensor

    def __init__(self, backend: DomainDistances | None = None) -> None:
        super().__init__(backend)
        self.register_buffer("moments", torch.empty(0, 0, 2), persistent=False)  # (group, domain, moment)

    def _fit(self, embeddings: Tensor, cell: Tensor) -> None:
        group = self.cells[cell, 0]
        found = embeddings.new_empty(len(embeddings), len(self.cells[:, 1].unique()))
        for rows in held_out([self.backend], embeddings, self.cells, cell):
            found[rows] = self.backend.distances(embeddings[rows], group[rows])
        moments = [_moments(found[group == number]) for number in group.unique()]
        self.moments = torch.stack([torch.stack(each, dim=1) for each in moments])
        super()._fit(embeddings, cell)

    def _moments(self, distances: Tensor, group: int) -> tuple[Tensor, Tensor]:
        number = int(torch.searchsorted(self.cells[:, 0].unique(), group))
        mean, deviation = self.moments[number].unbind(dim=1)
        return mean, deviation


class TransductiveDomainNormalized(_Normalized):
    """The smaller distance after each domain's is standardised over the group's clips that are scored together.

    Transductive: the score of a clip depends on the others of its test set (Saengthong and Shinozaki, "Deep generic
    representations for domain-generalized anomalous sound detection", 2024), so that figures compare with those of such
    methods alone, and a clip by itself has no score.

    Args:
        backend: Whose distances; its domains are kept apart. None is `NearestNeighbours`.
    """

    is_transductive = True

    def _moments(self, distances: Tensor, group: int) -> tuple[Tensor, Tensor]:
        if len(distances) < 2:
            raise ValueError(
                f"a single clip of group {group}: {type(self).__name__} standardises over the clips of a test set, give"
                " all of them at once, or take DomainNormalized"
            )
        return _moments(distances)


def _moments(distances: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the finite values of columns; 0 and 1 of a column without, of a domain without clips."""
    distances = distances.where(distances.isfinite(), torch.nan)
    mean = distances.nanmean(dim=0)
    deviation = (distances - mean).square().nanmean(dim=0).sqrt()
    return mean.nan_to_num(), torch.where(deviation > 0, deviation, torch.ones_like(deviation))
