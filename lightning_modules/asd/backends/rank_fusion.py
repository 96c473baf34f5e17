"""Several anomaly scores as one, weighted without a single anomaly."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_modules.asd.backends.backend import Backend
from lightning_modules.asd.backends.held_out import held_out
from lightning_modules.asd.backends.mahalanobis import Mahalanobis
from lightning_modules.asd.backends.nearest_neighbours import NearestNeighbours
from lightning_modules.asd.backends.rescaling import LocalDensity


class RankFusion(Backend):
    """Weighted mean of ranks of scores among those of held-out normal clips.

    A rank is the share of the group's held-out normal clips that score less, from 0 to 1, between them by
    interpolation; beyond the largest it goes on along the line through their median and the largest, so that anomalies
    keep their order. Held out is each half of the training clips, scored by back ends fitted to the other half.

    Weights are fitted without anomalies: a back end weighs as much as it tells held-out normal clips of a group from
    proxy outliers, normal clips of other groups scored as if they were of this one: by 2 AUC - 1, or 0 where that is
    negative, averaged over the groups. Of a single group, or where no back end is of use, weights are equal.

    Args:
        backends: Two at least, none of which is transductive. None takes `NearestNeighbours`, `Mahalanobis` and
            `LocalDensity`.
        weights: Of the back ends, instead of fitted ones.
    """

    weight: Tensor
    references: Tensor
    reference_sizes: Tensor

    def __init__(self, backends: list[Backend] | None = None, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        if backends is None:
            backends = [NearestNeighbours(), Mahalanobis(), LocalDensity()]
        if len(backends) < 2:
            raise ValueError(f"{len(backends)} back ends: a fusion is of two at least")
        if any(each.is_transductive for each in backends):
            raise ValueError(
                "a transductive back end has no ranks among training clips: leave it out of the fusion"
            )
        if weights is not None and (
            len(weights) != len(backends) or min(weights) < 0 or not sum(weights) > 0
        ):
            raise ValueError(
                f"weights={list(weights)}: expected {len(backends)} that are not negative, nor all of them 0"
            )
        self.backends = nn.ModuleList(backends)
        self.weights = weights
        self.register_buffer("weight", torch.empty(0, dtype=torch.float64), persistent=False)  # (back end,)
        # float64 (back end, clip), each group's sorted, group after group
        self.register_buffer("references", torch.empty(0, 0, dtype=torch.float64), persistent=False)
        self.register_buffer(
            "reference_sizes", torch.empty(0, dtype=torch.long), persistent=False
        )  # (group,)

    def _fit(self, embeddings: Tensor, cell: Tensor) -> None:
        group = self.cells[cell, 0]
        outlier = _outliers(group)
        normal = torch.empty(len(self.backends), len(group), dtype=torch.float64, device=group.device)
        proxy = torch.empty_like(normal)
        for rows in held_out(list(self._each()), embeddings, self.cells, cell):
            for number, backend in enumerate(self._each()):
                normal[number, rows] = backend(embeddings[rows], group[rows]).double()
                if outlier is not None:
                    proxy[number, rows] = backend(embeddings[outlier[rows]], group[rows]).double()
        groups = [group == number for number in group.unique()]
        self.references = torch.cat([normal[:, own].sort(dim=1).values for own in groups], dim=1)
        self.reference_sizes = torch.stack([own.sum() for own in groups])
        weight = torch.ones_like(normal[:, 0])
        if self.weights is not None:
            weight = torch.tensor(self.weights).to(weight)
        elif outlier is not None:
            useful = [(2 * _auc(normal[:, own], proxy[:, own]) - 1).clamp(min=0) for own in groups]
            weight = torch.stack(useful).mean(dim=0)
        self.weight = weight / weight.sum() if weight.any() else torch.ones_like(weight) / len(weight)
        for backend in self._each():
            backend.fit(embeddings, group, self.cells[cell, 1])

    def _score(self, embeddings: Tensor, group: Tensor) -> Tensor:
        scores = torch.stack([each(embeddings, group).double() for each in self._each()])
        references = self.references.split(self.reference_sizes.tolist(), dim=1)
        known = self.cells[:, 0].unique()
        ranks = torch.empty_like(scores)
        for number in group.unique():
            rows = group == number
            reference = references[int(torch.searchsorted(known, number))]
            for one, own in enumerate(reference):
                ranks[one, rows] = rank(scores[one, rows], own)
        return self.weight @ ranks

    def _each(self) -> list[Backend]:
        return [each for each in self.backends if isinstance(each, Backend)]


def rank(scores: Tensor, reference: Tensor) -> Tensor:
    """Share of sorted reference scores (n,) that lie below each score, (batch,); see `RankFusion`."""
    n = len(reference)
    above = torch.searchsorted(reference, scores.contiguous(), right=True)  # how many are not larger
    low, high = reference[(above - 1).clamp(min=0)], reference[above.clamp(max=n - 1)]
    between = torch.where(high > low, (scores - low) / (high - low), 0)
    found = torch.where(above == 0, 0, (above - 1 + between.clamp(0, 1)) / (n - 1))
    median, most = reference[(n - 1) // 2], reference[-1]
    per_unit = 0.5 / (most - median) if most > median else 1.0
    return torch.where(scores > most, 1 + (scores - most) * per_unit, found)


def _outliers(group: Tensor) -> Tensor | None:
    """For each clip one of another group, evenly spaced among them: int64 (n,); None of a single group."""
    if (group == group[0]).all():
        return None
    found = torch.empty_like(group)
    for number in group.unique():
        own = group == number
        others = (~own).nonzero().flatten()
        places = torch.arange(int(own.sum()), device=group.device) * len(others) // int(own.sum())
        found[own] = others[places]
    return found


def _auc(normal: Tensor, outlier: Tensor) -> Tensor:
    """Share of pairs (back end,) of which the outlier scores more, by rows of scores; ties count half."""
    normal = normal.sort(dim=1).values
    below = torch.searchsorted(normal, outlier.contiguous())
    not_above = torch.searchsorted(normal, outlier.contiguous(), right=True)
    return (below + not_above).double().mean(dim=1) / (2 * normal.shape[1])
