"""Score embeddings of any network by their distance to normal training clips of the same machine."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.package.scorers.scorer import at_least_float32


class Backend(nn.Module, ABC):
    """Distance of embeddings to the normal training embeddings of their group, a machine instance.

    Where `fit` is told domains, the distance is the smaller one of source and target. What was fitted are
    buffers: they follow the module to its device; `state` and `restore` carry them into the run's folder and back.

    Attributes:
        cells: int64 (cell, 2), each fitted pair of group and domain.
    """

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
        pairs = torch.stack([group, domain], dim=1)
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
        embeddings = at_least_float32(embeddings)
        scores = torch.full(group.shape, torch.inf, dtype=embeddings.dtype, device=embeddings.device)
        with torch.autocast(embeddings.device.type, enabled=False):
            for cell in self._cells_of(group):
                rows = group == self.cells[cell, 0]
                scores[rows] = scores[rows].minimum(self._distance(embeddings[rows], cell))
        return scores

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
            setattr(self, name, tensor.to(self.cells.device))

    def _cells_of(self, group: Tensor) -> list[int]:
        """Which cells the groups have; all groups must have one."""
        groups = group.unique()
        unknown = groups[~torch.isin(groups, self.cells[:, 0])].tolist()
        if unknown:
            raise ValueError(
                f"group {unknown[0]} has no fitted normal clips (fitted: {self.cells[:, 0].unique().tolist()}): "
                "score only machines whose training clips were given to fit"
            )
        return torch.isin(self.cells[:, 0], groups).nonzero().flatten().tolist()

    @abstractmethod
    def _fit(self, embeddings: Tensor, cell: Tensor) -> None:
        """Fit (n, dim) of at least float32, whose rows are of cells (n,)."""

    @abstractmethod
    def _distance(self, embeddings: Tensor, cell: int) -> Tensor:
        """Distances (batch,) of (batch, dim), of at least float32, to one cell."""


class NearestNeighbours(Backend):
    """Mean distance to the k nearest normal embeddings, all of them where a group has fewer.

    Args:
        k: Neighbours.
        metric: "cosine" is 1 - cos, in [0, 2]; "euclidean" the length of the difference.
        distances_at_once: Bounds the memory.
    """

    bank: Tensor
    bank_sizes: Tensor

    def __init__(
        self,
        k: int = 1,
        metric: Literal["cosine", "euclidean"] = "cosine",
        *,
        distances_at_once: int = 2**24,
    ) -> None:
        super().__init__()
        if k < 1:
            raise ValueError(f"k={k}: expected at least 1 neighbour")
        if metric not in {"cosine", "euclidean"}:
            raise ValueError(f"metric={metric!r} must be cosine or euclidean")
        self.k = k
        self.metric = metric
        self.distances_at_once = distances_at_once
        self.register_buffer("bank", torch.empty(0, 0), persistent=False)  # (n, dim), cell after cell
        self.register_buffer("bank_sizes", torch.empty(0, dtype=torch.long), persistent=False)  # (cell,)

    def _fit(self, embeddings: Tensor, cell: Tensor) -> None:
        bank = embeddings[cell.argsort()]
        self.bank = F.normalize(bank) if self.metric == "cosine" else bank
        self.bank_sizes = cell.bincount()

    def _distance(self, embeddings: Tensor, cell: int) -> Tensor:
        bank = self.bank.split(self.bank_sizes.tolist())[cell]
        parts = embeddings.split(max(1, self.distances_at_once // len(bank)))
        k = min(self.k, len(bank))
        return torch.cat([self._pairwise(part, bank).topk(k, largest=False).values.mean(1) for part in parts])

    def _pairwise(self, embeddings: Tensor, bank: Tensor) -> Tensor:
        """Distances (batch, n)."""
        # By matrix products, and by 1 - cos, small distances between long vectors would drown in rounding.
        if self.metric == "cosine":  # half the squared distance of unit vectors
            embeddings = F.normalize(embeddings)
        distances = torch.cdist(embeddings, bank, compute_mode="donot_use_mm_for_euclid_dist")
        return distances.square() / 2 if self.metric == "cosine" else distances


class Mahalanobis(Backend):
    """Mahalanobis distance to the mean normal embedding, in standard deviations.

    Args:
        covariance: "pooled" estimates one from all clips about the means of their groups, "group" one for each
            group (and domain).
        shrinkage: Share of the mean variance times the identity in the covariance, in [0, 1]; "ledoit_wolf"
            estimates the share that minimizes the expected squared error (Ledoit and Wolf, "A well-conditioned
            estimator for large-dimensional covariance matrices", 2004).
    """

    mean: Tensor
    whitener: Tensor

    def __init__(
        self,
        covariance: Literal["pooled", "group"] = "pooled",
        shrinkage: float | Literal["ledoit_wolf"] = "ledoit_wolf",
    ) -> None:
        super().__init__()
        if covariance not in {"pooled", "group"}:
            raise ValueError(f"covariance={covariance!r} must be pooled or group")
        if shrinkage != "ledoit_wolf" and not (isinstance(shrinkage, int | float) and 0 <= shrinkage <= 1):
            raise ValueError(f"shrinkage={shrinkage!r} must be ledoit_wolf or a number from 0 to 1")
        self.covariance = covariance
        self.shrinkage = shrinkage
        self.register_buffer("mean", torch.empty(0, 0), persistent=False)  # (cell, dim)
        self.register_buffer("whitener", torch.empty(0, 0, 0), persistent=False)  # (cell or 1, dim, dim)

    def _fit(self, embeddings: Tensor, cell: Tensor) -> None:
        dtype, embeddings = embeddings.dtype, embeddings.double()
        sums = embeddings.new_zeros(len(self.cells), embeddings.shape[1]).index_add_(0, cell, embeddings)
        mean = sums / cell.bincount(minlength=len(self.cells))[:, None]
        residual = embeddings - mean[cell]
        if self.covariance == "pooled":
            residuals = [residual]
        else:
            residuals = [residual[cell == number] for number in range(len(self.cells))]
        self.mean = mean.to(dtype)
        self.whitener = torch.stack([self._whitener(residual) for residual in residuals]).to(dtype)

    def _whitener(self, residual: Tensor) -> Tensor:
        """Inverse of the Cholesky factor of the shrunk covariance, (dim, dim), of centred rows (n, dim)."""
        n, dim = residual.shape
        covariance = residual.T @ residual / n
        variance = covariance.trace() / dim
        share = ledoit_wolf_shrinkage(residual) if isinstance(self.shrinkage, str) else self.shrinkage
        identity = torch.eye(dim, dtype=residual.dtype, device=residual.device)
        factor, info = torch.linalg.cholesky_ex((1 - share) * covariance + share * variance * identity)
        if info:
            raise ValueError(
                f"the covariance of {n} embeddings of {dim} dimensions has no inverse: they do not vary, or "
                "shrinkage must be larger"
            )
        return torch.linalg.solve_triangular(factor, identity, upper=False)

    def _distance(self, embeddings: Tensor, cell: int) -> Tensor:
        whitener = self.whitener[0 if self.covariance == "pooled" else cell]
        return torch.linalg.vector_norm((embeddings - self.mean[cell]) @ whitener.T, dim=1)


def ledoit_wolf_shrinkage(residual: Tensor) -> Tensor:
    """Optimal share of the scaled identity in the covariance of centred rows (n, dim) (Ledoit and Wolf 2004)."""
    n, dim = residual.shape
    covariance = residual.T @ residual / n
    variance = covariance.trace() / dim
    # Squared Frobenius norms of the paper, b² (error of the covariance) and d² (its distance to the identity).
    d2 = covariance.square().sum() - dim * variance.square()
    b2 = (residual.square().sum(1).square().sum() / n - covariance.square().sum()) / n
    return torch.where(d2 > 0, (b2 / d2).clamp(0, 1), 1)
