"""Which clips make which batch: the same whatever the number of ranks, and without repetition."""

from abc import abstractmethod
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

Request = tuple[int, int]
"""What `ClipDataset` is asked for: row, and the 64-bit draw that places the crop."""


class TrainSampler(Sampler[list[Request]]):
    """An order of training batches that can be entered anywhere, which `ResumableLoader` needs.

    Args:
        num_clips: Clips of an epoch.
        share: Of these, what a rank gets in a batch.
        drop_last: Drop a last batch that is smaller than the others; otherwise only one that leaves a rank without
            a clip.
        rank: This process.
        world_size: Number of processes.
        seed: Of the run.
        reshuffle: A new order each epoch; without it every epoch repeats the first, which overfitting tests
            need.
    """

    def __init__(
        self,
        num_clips: int,
        share: int,
        *,
        drop_last: bool,
        rank: int = 0,
        world_size: int = 1,
        seed: int = 0,
        reshuffle: bool = True,
    ) -> None:
        self.rank, self.world_size, self.seed, self.reshuffle = rank, world_size, seed, reshuffle
        self.step = share * world_size
        rest = num_clips % self.step
        self.num_served = num_clips if rest >= (self.step if drop_last else world_size) else num_clips - rest
        self._epoch = self._position = 0

    def __len__(self) -> int:
        return -(-self.num_served // self.step)

    @abstractmethod
    def __iter__(self) -> Iterator[list[Request]]:
        """Batches of this rank, from where `seek` led on."""

    def seek(self, epoch: int, position: int = 0) -> None:
        """Let the next iteration begin with batch `position` of `epoch`."""
        self._epoch, self._position = epoch, position


class TrainBatchSampler(TrainSampler):
    """Batches in an order that (seed, epoch) alone determines.

    A global batch is ``batch_size * world_size`` consecutive entries of one permutation, and a rank takes its
    slice: equal global batches hold the same clips and crops whatever the number of ranks. What does not fill
    a global batch waits for another epoch's order. With weights an epoch is as long, but drawn with replacement.

    Args:
        num_clips: Clips of the split.
        epoch_items: Clips an epoch, which goes on from the first clip after the last; None serves each once.
        batch_size: Clips a rank.
        drop_last: Without it an epoch ends with what is left, dealt evenly to the ranks; still dropped where
            a rank would get none.
        weights: (num_clips,) chances of the clips relative to each other, without `epoch_items`; None serves each once.
        **settings: Of `TrainSampler`.

    Raises:
        ValueError: If the split is smaller than one global batch, or than the number of ranks.
    """

    def __init__(
        self,
        num_clips: int,
        *,
        epoch_items: int | None = None,
        batch_size: int,
        drop_last: bool = True,
        weights: ArrayLike | None = None,
        **settings: Any,
    ) -> None:
        self._num_distinct, self.num_clips = num_clips, epoch_items or num_clips
        super().__init__(self.num_clips, max(batch_size, 1), drop_last=drop_last, **settings)
        if batch_size < 1 or not self.num_served:
            most = self.num_clips // self.world_size
            way_out = (
                f"set data.batch_size to at most {most}" if most else f"use at most {self.num_clips} devices"
            )
            if not self.num_clips:
                way_out = "set data.root to the folder of the data set"
            raise ValueError(
                f"a global batch of {batch_size} x {self.world_size} clips cannot be made of the {self.num_clips} clips"
                f" of the training split: {way_out}"
            )
        self._chances = None if weights is None else np.asarray(weights) / np.sum(weights)

    def __iter__(self) -> Iterator[list[Request]]:
        random = np.random.default_rng([self.seed, self._epoch if self.reshuffle else 0])
        if self._chances is None:
            order = random.permutation(self.num_clips) % self._num_distinct
        else:
            order = random.choice(self.num_clips, self.num_clips, p=self._chances)
        draws = random.integers(0, 1 << 64, self.num_clips, np.uint64)
        for begin in range(self._position * self.step, self.num_served, self.step):
            end = min(begin + self.step, self.num_served)
            requests = list(zip(order[begin:end].tolist(), draws[begin:end].tolist(), strict=True))
            yield requests[_slice(len(requests), self.rank, self.world_size)]


def class_balancing_weights(targets: ArrayLike) -> np.ndarray:
    """Weights that draw all classes alike: float64 (clip,), 1000 / (clips of the class + 0.01).

    The rule of AST's ``gen_weight_file.py`` (Gong et al., Interspeech 2021); weights of several heads add up, as
    there those of several labels.

    Args:
        targets: int (clip,) or (clip, head), class indices.
    """
    columns = np.asarray(targets).reshape(len(np.asarray(targets)), -1).T
    return np.sum([1000 / (np.bincount(column)[column] + 0.01) for column in columns], axis=0)


class ProxyBatchSampler(TrainSampler):
    """Batches half of normal clips, half of proxy outliers (Primus et al., DCASE 2020 workshop, section 4.2).

    An epoch is one pass over the normal clips in an order that (seed, epoch) determines; its last batch may be
    smaller, and is dropped where it would leave a rank without a clip. Proxy outliers come from an endless
    sequence of permutations, which goes on from epoch to epoch: none repeats before all were drawn. Ranks take
    slices of the same global batches.

    Args:
        targets: (clip,) 0 for a normal clip of the split, 1 for a proxy outlier.
        batch_size: Clips a rank, normal and proxy together; even.
        **settings: Of `TrainSampler`.

    Raises:
        ValueError: If `batch_size` is odd, or a kind of clips is too few.
    """

    def __init__(self, targets: ArrayLike, *, batch_size: int, **settings: Any) -> None:
        if batch_size < 2 or batch_size % 2:
            raise ValueError(
                f"batch_size must be even, for half of a batch are proxy outliers, found {batch_size}:"
                " correct the data section"
            )
        self._normals = np.flatnonzero(np.asarray(targets) == 0)
        self._proxies = np.flatnonzero(np.asarray(targets) == 1)
        super().__init__(len(self._normals), batch_size // 2, drop_last=False, **settings)
        if len(self._normals) < self.world_size or not len(self._proxies):
            raise ValueError(
                f"{len(self._normals)} normal clips and {len(self._proxies)} proxy outliers cannot be dealt to"
                f" {self.world_size} devices: name more data or use fewer devices"
            )

    def __iter__(self) -> Iterator[list[Request]]:
        epoch, start = self._epoch if self.reshuffle else 0, self._position * self.step
        normals = islice(self._permutation(self._normals, 0, epoch), start, None)
        proxies = self._proxies_from(epoch * self.num_served + start)
        for begin in range(start, self.num_served, self.step):
            size = min(self.step, self.num_served - begin)
            mine = _slice(size, self.rank, self.world_size)
            yield list(islice(normals, size))[mine] + list(islice(proxies, size))[mine]

    def _proxies_from(self, place: int) -> Iterator[Request]:
        round_, place = divmod(place, len(self._proxies))
        while True:
            yield from islice(self._permutation(self._proxies, 1, round_), place, None)
            round_, place = round_ + 1, 0

    def _permutation(self, rows: np.ndarray, kind: int, number: int) -> Iterator[Request]:
        random = np.random.default_rng([self.seed, kind, number])
        order = random.permutation(rows)
        return zip(order.tolist(), random.integers(0, 1 << 64, len(rows), np.uint64).tolist(), strict=True)


def _slice(size: int, rank: int, world_size: int) -> slice:
    """A rank's part of a global batch: all alike, or one clip more for some."""
    return slice(size * rank // world_size, size * (rank + 1) // world_size)


def _by_length(num_clips: int, lengths: ArrayLike | None) -> list[np.ndarray]:
    """Rows of the clips of each length, the longest first."""
    if lengths is None:
        return [np.arange(num_clips)]
    order = np.argsort(-np.asarray(lengths), kind="stable")
    return np.split(order, np.flatnonzero(np.diff(np.asarray(lengths)[order])) + 1)


class EvaluationBatchSampler(Sampler[list[Request]]):
    """Every clip, in batches formed before they are dealt to ranks: any number of ranks sees the same.

    Clips of a batch have one length, so that nothing is put behind a clip to fill the batch: what networks hear there,
    and its share in their means, would make the score of a clip depend on its neighbours.

    The views of a clip are consecutive items of one batch, with the same row and draws that place them evenly from
    the first crop to the last. Ranks with fewer batches repeat one, for collectives need equal numbers: drop
    repetitions by `Batch.index`.

    Args:
        num_clips: Clips of the split.
        batch_size: Views a batch, but at least those of one clip; the last of a length may be smaller.
        rank: This process.
        world_size: Number of processes.
        lengths: (num_clips,) of the clips, which come longest first, so that a lack of memory shows at once; None is
            one length for all, and keeps the order of the split.
        num_views: Crops of a clip; one alone is its beginning.
    """

    def __init__(
        self,
        num_clips: int,
        *,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        lengths: ArrayLike | None = None,
        num_views: int = 1,
    ) -> None:
        size = max(batch_size // num_views, 1)
        batches = [
            clips[begin : begin + size].tolist()
            for clips in _by_length(num_clips, lengths)
            for begin in range(0, len(clips), size)
        ]
        share = -(-len(batches) // world_size)
        self._batches = [batches[i % len(batches)] for i in range(rank, share * world_size, world_size)]
        self._draws = [view * (2**64 - 1) // max(num_views - 1, 1) for view in range(num_views)]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Request]]:
        for batch in self._batches:
            yield [(index, draw) for index in batch for draw in self._draws]
