"""Nearest neighbours among more target clips than there are: interpolated ones, and ones mixed with the source."""

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.asd.backends.nearest_neighbours import Metric, NearestNeighbours
from lightning_modules.asd.backends.neighbours import nearest


class _Oversampled(NearestNeighbours):
    """Nearest neighbours in a bank whose target domains are filled up; other domains are as they are."""

    def _fit_cells(self, embeddings: Tensor, cell: Tensor) -> None:
        more, cells = [embeddings], [cell]
        for number, (group, domain) in enumerate(self.cells.tolist()):
            is_source = (self.cells == self.cells.new_tensor([group, 0])).all(dim=1)
            if domain == 1 and is_source.any():
                source, target = embeddings[cell == is_source.nonzero().item()], embeddings[cell == number]
                more.append(self._made(source, target))
                cells.append(cell.new_full((len(more[-1]),), number))
        bank = torch.cat(more)
        super()._fit_cells(F.normalize(bank) if self.metric == "cosine" else bank, torch.cat(cells))

    @abstractmethod
    def _made(self, source: Tensor, target: Tensor) -> Tensor:
        """Embeddings (n, dim) beside those of the target."""


class SMOTE(_Oversampled):
    """Nearest neighbours, of the target domain also between its clips (Chawla et al. 2002).

    A made clip is x + u (y - x): x a clip of the target, y one of its nearest others, u from 0 to 1, each drawn
    uniformly. Groups without source or with a single target clip stay as they are.

    Args:
        ratio: Target clips, with those made, of source clips; nothing is made where there are more already.
        between: Nearest others of a target clip that it is mixed with.
        k: Neighbours of a scored clip.
        metric: As in `NearestNeighbours`.
        seed: Of the draws.
        normalize: Scale embeddings to length 1 first, as "cosine" always does.
    """

    def __init__(
        self,
        ratio: float = 0.2,
        between: int = 2,
        k: int = 1,
        metric: Metric = "cosine",
        *,
        seed: int = 0,
        normalize: bool = False,
    ) -> None:
        super().__init__(k, metric, normalize=normalize)
        if ratio <= 0:
            raise ValueError(f"ratio={ratio:g}: expected more than 0")
        if between < 1:
            raise ValueError(f"between={between}: expected at least 1 neighbour")
        self.ratio = ratio
        self.between = between
        self.seed = seed

    def _made(self, source: Tensor, target: Tensor) -> Tensor:
        num = max(0, int(self.ratio * len(source)) - len(target)) if len(target) > 1 else 0
        others = _others(target, min(self.between, len(target) - 1))
        draws = torch.Generator().manual_seed(self.seed)  # of the CPU: equal on all devices
        which = torch.randint(max(1, others.numel()), (num,), generator=draws).to(target.device)
        share = torch.rand(num, 1, generator=draws, dtype=torch.float64).to(target)
        first = target[which // max(1, others.shape[1])]
        return first + share * (target[others.flatten()[which]] - first)


class MemMix(_Oversampled):
    """Nearest neighbours, of the target domain also target clips mixed with the nearest source clips.

    Groups without source stay as they are.

    Args:
        share: Of the target clip in a mixture.
        mixed: Nearest source clips of each target clip, all where there are fewer.
        k: Neighbours of a scored clip.
        metric: As in `NearestNeighbours`.
        normalize: Scale embeddings to length 1 first, as "cosine" always does.
    """

    def __init__(
        self,
        share: float = 0.9,
        mixed: int = 990,
        k: int = 1,
        metric: Metric = "cosine",
        *,
        normalize: bool = False,
    ) -> None:
        super().__init__(k, metric, normalize=normalize)
        if not 0 < share < 1:
            raise ValueError(f"share={share:g} must lie between 0 and 1")
        if mixed < 1:
            raise ValueError(f"mixed={mixed}: expected at least 1 source clip")
        self.share = share
        self.mixed = mixed

    def _made(self, source: Tensor, target: Tensor) -> Tensor:
        near = source[nearest(target, source, self.mixed).index]  # (target, mixed, dim)
        return (self.share * target[:, None] + (1 - self.share) * near).flatten(0, 1)


def _others(clips: Tensor, num: int) -> Tensor:
    """int64 (clip, num): the nearest others of each clip."""
    index = nearest(clips, clips, num + 1).index
    itself = index == torch.arange(len(clips), device=clips.device)[:, None]
    itself[:, -1] |= ~itself.any(dim=1)  # of more equal clips than neighbours, one is left out
    return index[~itself].view(len(clips), num)
