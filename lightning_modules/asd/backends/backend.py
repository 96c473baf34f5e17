"""What scores embeddings of any network by how far they are from normal training clips of the same machine."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from lightning_modules.package.scorers.scorer import at_least_float32


class Backend(nn.Module, ABC):
    """Anomaly score of embeddings, fitted to the normal training embeddings of their group, a machine instance.

    What was fitted are buffers: they follow the module to its device; `state` and `restore` carry them into the run's
    folder and back.

    Attributes:
        cells: int64 (cell, 2), each fitted pair of group and domain, ascending.
        is_transductive: Whether the score of a clip depends on the clips that are scored with it.
    """

    is_transductive: ClassVar[bool] = False
    cells: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("cells", torch.empty(0, 2, dtype=torch.long), persistent=False)

    @torch.no_grad()
    def fit(self, embeddings: Tensor, group: Tensor, domain: Tensor | None = None) -> None:
        """Learn what is normal, anew.

        Args:
            embeddings: (n, dim) of normal clips; on several processes, those of all.
            group: int64 (n,), each clip's group, any numbers.
            domain: int64 (n,), 0 source and 1 target, if the groups have domains.

        Raises:
            ValueError: For tensors that do not fit each other or embeddings that are not finite.
        """
        domain = torch.zeros_like(group) if domain is None else domain
        if embeddings.ndim != 2 or not group.shape == domain.shape == embeddings.shape[:1] or not len(group):
            raise ValueError(
                f"embeddings {tuple(embeddings.shape)}, group {tuple(group.shape)}, domain {tuple(domain.shape)}: "
                "expected (n, dim), (n,) and (n,) with n > 0"
            )
        if not embeddings.isfinite().all():
            raise ValueError("embeddings to fit are not finite: the network diverged")
        pairs = torch.stack([group, self._domain(domain)], dim=1)
        self.cells, cell = pairs.unique(dim=0, return_inverse=True)
        with torch.autocast(embeddings.device.type, enabled=False):
            self._fit(at_least_float32(embeddings), cell)

    @torch.no_grad()
    def forward(self, embeddings: Tensor, group: Tensor) -> Tensor:
        """Score clips.

        Args:
            embeddings: (batch, dim).
            group: int64 (batch,).

        Returns:
            (batch,) of at least float32, higher = more anomalous.

        Raises:
            ValueError: For a group that was not fitted.
        """
        groups = group.unique()
        unknown = groups[~torch.isin(groups, self.cells[:, 0])].tolist()
        if unknown:
            raise ValueError(
                f"group {unknown[0]} has no fitted normal clips (fitted: {self.cells[:, 0].unique().tolist()}): "
                "score only machines whose training clips were given to fit"
            )
        with torch.autocast(embeddings.device.type, enabled=False):
            return self._score(at_least_float32(embeddings), group)

    def state(self) -> dict[str, Tensor]:
        """What `fit` found, by name."""
        return dict(self.named_buffers())

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` gave, onto this module's device."""
        if set(state) != set(self.state()):
            raise ValueError(
                f"fitted state of {', '.join(state)} is not that of {type(self).__name__}, which has "
                f"{', '.join(self.state())}: fit anew"
            )
        for name, tensor in state.items():
            part, _, buffer = name.rpartition(".")
            setattr(self.get_submodule(part), buffer, tensor.to(self.cells.device))

    def _domain(self, domain: Tensor) -> Tensor:
        """Which domains (n,) are told apart."""
        return domain

    @abstractmethod
    def _fit(self, embeddings: Tensor, cell: Tensor) -> None:
        """Fit (n, dim) of at least float32, whose rows are of cells (n,)."""

    @abstractmethod
    def _score(self, embeddings: Tensor, group: Tensor) -> Tensor:
        """Scores (batch,) of (batch, dim), of at least float32, whose groups (batch,) are all fitted."""
