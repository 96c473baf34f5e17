"""Distance from the mean normal embedding, in standard deviations."""

from typing import Literal

import torch
from torch import Tensor

from lightning_modules.asd.backends.domain_distances import DomainDistances, Domains


class Mahalanobis(DomainDistances):
    """Mahalanobis distance from the mean normal embedding, in standard deviations.

    With covariance "group" and domains apart, this is the selective distance of the challenge's baseline.

    Args:
        covariance: "pooled" estimates one from all clips about the means of their cells, "group" one for each cell, a
            group or its domain.
        shrinkage: Share of the mean variance times the identity in the covariance, in [0, 1]; "ledoit_wolf"
            estimates the share that minimizes the expected squared error (Ledoit and Wolf, "A well-conditioned
            estimator for large-dimensional covariance matrices", 2004).
        normalize: Scale embeddings to length 1 first.
        domains: See `DomainDistances`.
    """

    mean: Tensor
    whitener: Tensor

    def __init__(
        self,
        covariance: Literal["pooled", "group"] = "pooled",
        shrinkage: float | Literal["ledoit_wolf"] = "ledoit_wolf",
        *,
        normalize: bool = False,
        domains: Domains = "smaller",
    ) -> None:
        super().__init__(normalize=normalize, domains=domains)
        if covariance not in {"pooled", "group"}:
            raise ValueError(f"covariance={covariance!r} must be pooled or group")
        if shrinkage != "ledoit_wolf" and not (isinstance(shrinkage, int | float) and 0 <= shrinkage <= 1):
            raise ValueError(f"shrinkage={shrinkage!r} must be ledoit_wolf or a number from 0 to 1")
        self.covariance = covariance
        self.shrinkage = shrinkage
        self.register_buffer("mean", torch.empty(0, 0), persistent=False)  # (cell, dim)
        self.register_buffer("whitener", torch.empty(0, 0, 0), persistent=False)  # (cell or 1, dim, dim)

    def _fit_cells(self, embeddings: Tensor, cell: Tensor) -> None:
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
