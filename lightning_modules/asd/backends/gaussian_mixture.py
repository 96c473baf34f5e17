"""Negative log likelihood under a mixture of Gaussians of normal embeddings."""

import math
from typing import Literal

import torch
from torch import Tensor

from lightning_modules.asd.backends.domain_distances import DomainDistances, Domains


class GaussianMixture(DomainDistances):
    """Negative log likelihood of a mixture of Gaussians, fitted by expectation and maximization.

    Args:
        components: Of each group, or domain of a group; as many as clips where there are fewer.
        covariance: "diagonal" or "full" matrices.
        regularization: Added to variances, in squares of the embeddings' unit.
        seed: Of the first means.
        normalize: Scale embeddings to length 1 first.
        domains: See `DomainDistances`.
    """

    log_weight: Tensor
    mean: Tensor
    whitener: Tensor
    component_sizes: Tensor

    def __init__(
        self,
        components: int = 2,
        covariance: Literal["diagonal", "full"] = "diagonal",
        regularization: float = 1e-3,
        *,
        seed: int = 0,
        normalize: bool = False,
        domains: Domains = "smaller",
    ) -> None:
        super().__init__(normalize=normalize, domains=domains)
        if components < 1:
            raise ValueError(f"components={components}: expected at least 1")
        if covariance not in {"diagonal", "full"}:
            raise ValueError(f"covariance={covariance!r} must be diagonal or full")
        self.components = components
        self.covariance = covariance
        self.regularization = regularization
        self.seed = seed
        for name in ("log_weight", "mean", "whitener"):  # (component, ...), cell after cell
            self.register_buffer(name, torch.empty(0), persistent=False)
        self.register_buffer("component_sizes", torch.empty(0, dtype=torch.long), persistent=False)  # (cell,)

    def _fit_cells(self, embeddings: Tensor, cell: Tensor) -> None:
        from sklearn.mixture import GaussianMixture as Mixture

        values = embeddings.double().cpu().numpy()
        kind, number_of = "diag" if self.covariance == "diagonal" else "full", cell.cpu().numpy()
        found = []
        for number in range(len(self.cells)):
            own = values[number_of == number]
            mixture = Mixture(
                min(self.components, len(own)),
                covariance_type=kind,
                reg_covar=self.regularization,
                random_state=self.seed,
            )
            # one clip has no variance to be estimated by expectation and maximization: scikit-learn wants two
            found.append(mixture.fit(own if len(own) > 1 else own.repeat(2, axis=0)))
        self.log_weight = _joined([each.weights_ for each in found]).log().to(embeddings.device)
        self.mean = _joined([each.means_ for each in found]).to(embeddings.device)
        self.whitener = _joined([each.precisions_cholesky_ for each in found]).to(embeddings.device)
        self.component_sizes = torch.tensor([len(each.weights_) for each in found], device=cell.device)

    def _distance(self, embeddings: Tensor, cell: int) -> Tensor:
        stop = int(self.component_sizes[: cell + 1].sum())
        likelihoods = [
            self._log_likelihood(embeddings.double(), component)
            for component in range(stop - int(self.component_sizes[cell]), stop)
        ]
        return -torch.stack(likelihoods).logsumexp(dim=0)

    def _log_likelihood(self, embeddings: Tensor, component: int) -> Tensor:
        whitener, centred = self.whitener[component], embeddings - self.mean[component]
        if self.covariance == "diagonal":
            white, log_det = centred * whitener, whitener.log().sum()
        else:
            white, log_det = centred @ whitener, whitener.diagonal().log().sum()
        constant = log_det - embeddings.shape[1] / 2 * math.log(2 * math.pi) + self.log_weight[component]
        return constant - white.square().sum(dim=1) / 2


def _joined(parts: list) -> Tensor:
    return torch.cat([torch.from_numpy(part) for part in parts])
