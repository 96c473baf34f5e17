"""Distance from the nearest of some cluster centres of normal embeddings."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.asd.backends.domain_distances import Domains
from lightning_modules.asd.backends.nearest_neighbours import Metric, NearestNeighbours


class KMeans(NearestNeighbours):
    """Distance from the nearest cluster centre; clips are their own centres where a group has fewer than clusters.

    Args:
        clusters: Of each group, or domain of a group.
        metric: As in `NearestNeighbours`; of "cosine", centres are scaled to length 1.
        seed: Of the first centres.
        normalize: Scale embeddings to length 1 first, as "cosine" always does.
        domains: See `DomainDistances`.
    """

    def __init__(
        self,
        clusters: int = 16,
        metric: Metric = "cosine",
        *,
        seed: int = 0,
        normalize: bool = False,
        domains: Domains = "smaller",
    ) -> None:
        super().__init__(1, metric, normalize=normalize, domains=domains)
        if clusters < 1:
            raise ValueError(f"clusters={clusters}: expected at least 1")
        self.clusters = clusters
        self.seed = seed

    def _fit_cells(self, embeddings: Tensor, cell: Tensor) -> None:
        centres = [self._centres(embeddings[cell == number]) for number in range(len(self.cells))]
        cells = [cell.new_full((len(each),), number) for number, each in enumerate(centres)]
        super()._fit_cells(torch.cat(centres), torch.cat(cells))

    def _centres(self, embeddings: Tensor) -> Tensor:
        from sklearn.cluster import KMeans as Clusters

        if len(embeddings) <= self.clusters:
            return embeddings
        clusters = Clusters(self.clusters, random_state=self.seed).fit(embeddings.cpu().numpy())
        centres = torch.from_numpy(clusters.cluster_centers_).to(embeddings)
        return F.normalize(centres) if self.metric == "cosine" else centres
