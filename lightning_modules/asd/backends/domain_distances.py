"""Scores that are distances from domains of a machine, source and target, of which the smaller one counts."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.asd.backends.backend import Backend

Domains = Literal["smaller", "pooled"]


class DomainDistances(Backend):
    """Distance from the normal embeddings of a group, the smaller one of its domains'.

    Args:
        normalize: Scale embeddings to length 1 first.
        domains: "smaller" takes the smaller distance of source and target; "pooled" knows no domains.
    """

    scaled: Tensor

    def __init__(self, *, normalize: bool = False, domains: Domains = "smaller") -> None:
        super().__init__()
        if domains not in {"smaller", "pooled"}:
            raise ValueError(f"domains={domains!r} must be smaller or pooled")
        self.normalize = normalize
        self.domains: Domains = domains
        self.register_buffer("scaled", torch.tensor(False), persistent=False)

    def distances(self, embeddings: Tensor, group: Tensor) -> Tensor:
        """Distances from each domain, (batch, domain), infinite where the group has no clips of it.

        Args:
            embeddings: (batch, dim) of at least float32.
            group: int64 (batch,), fitted ones.
        """
        if self.scaled:
            embeddings = F.normalize(embeddings)
        domains = self.cells[:, 1].unique()
        found = embeddings.new_full((len(group), len(domains)), torch.inf)
        for cell in torch.isin(self.cells[:, 0], group).nonzero().flatten().tolist():
            rows = (group == self.cells[cell, 0]).nonzero().flatten()
            column = torch.searchsorted(domains, self.cells[cell, 1])
            found[rows, column] = self._distance(embeddings[rows], cell).to(found.dtype)
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` gave; of versions that scaled all embeddings to length 1, theirs too."""
        super().restore({"scaled": torch.tensor(True)} | dict(state))

    def _domain(self, domain: Tensor) -> Tensor:
        return torch.zeros_like(domain) if self.domains == "pooled" else domain

    def _score(self, embeddings: Tensor, group: Tensor) -> Tensor:
        return self.distances(embeddings, group).amin(dim=1)

    def _fit(self, embeddings: Tensor, cell: Tensor) -> None:
        self.scaled = torch.tensor(self.normalize, device=embeddings.device)
        self._fit_cells(F.normalize(embeddings) if self.normalize else embeddings, cell)

    @abstractmethod
    def _fit_cells(self, embeddings: Tensor, cell: Tensor) -> None:
        """Fit (n, dim) of at least float32, scaled where asked for, whose rows are of cells (n,)."""

    @abstractmethod
    def _distance(self, embeddings: Tensor, cell: int) -> Tensor:
        """Distances (batch,) of (batch, dim), of at least float32, to one cell."""
