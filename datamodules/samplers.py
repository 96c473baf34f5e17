"""Which clips make which batch: the same whatever the number of ranks, and without repetition."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

Request = tuple[int, int]
"""What `ClipDataset` is asked for: row, and the 64-bit draw that places the crop."""


class TrainBatchSampler(Sampler[list[Request]]):
    """Batches in an order that (seed, epoch) alone determines.

    A global batch is ``batch_size * world_size`` consecutive entries of one permutation, and a rank takes its
    slice: equal global batches hold the same clips and crops whatever the number of ranks. What does not fill
    a global batch waits for another epoch's order.

    Args:
        num_clips: Clips of the split.
        batch_size: Clips a rank.
        rank: This process.
        world_size: Number of processes.
        seed: Of the run.
        reshuffle: A new order each epoch; without it every epoch repeats the first, which overfitting tests
            need.

    Raises:
        ValueError: If the split is smaller than one global batch.
    """

    def __init__(
        self,
        num_clips: int,
        *,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        seed: int = 0,
        reshuffle: bool = True,
    ) -> None:
        self.global_batch = batch_size * world_size
        if not 0 < self.global_batch <= num_clips:
            raise ValueError(
                f"a global batch of {batch_size} x {world_size} clips cannot be made of the {num_clips} clips"
                " of the training split: lower batch_size or use fewer devices"
            )
        self.num_clips, self.batch_size, self.rank, self.seed = num_clips, batch_size, rank, seed
        self.reshuffle = reshuffle
        self._epoch = self._position = 0

    def __len__(self) -> int:
        return self.num_clips // self.global_batch

    def seek(self, epoch: int, position: int = 0) -> None:
        """Let the next iteration begin with batch `position` of `epoch`."""
        self._epoch, self._position = epoch, position

    def __iter__(self) -> Iterator[list[Request]]:
        random = np.random.default_rng([self.seed, self._epoch if self.reshuffle else 0])
        order = random.permutation(self.num_clips)
        draws = random.integers(0, 1 << 64, self.num_clips, np.uint64)
        for batch in range(self._position, len(self)):
            begin = batch * self.global_batch + self.rank * self.batch_size
            mine = slice(begin, begin + self.batch_size)
            yield list(zip(order[mine].tolist(), draws[mine].tolist(), strict=True))


class EvaluationBatchSampler(Sampler[list[Request]]):
    """Every clip, in batches formed before they are dealt to ranks: any number of ranks sees the same.

    Ranks with fewer batches repeat one, for collectives need equal numbers: drop repetitions by
    `Batch.index`.

    Args:
        num_clips: Clips of the split.
        batch_size: Clips a batch; the last may be smaller.
        rank: This process.
        world_size: Number of processes.
        lengths: (num_clips,) what to sort by, longest first, so that clips of a batch need little padding and
            a lack of memory shows at once; None keeps the order of the split.
    """

    def __init__(
        self,
        num_clips: int,
        *,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        lengths: ArrayLike | None = None,
    ) -> None:
        order = np.arange(num_clips) if lengths is None else np.argsort(-np.asarray(lengths), kind="stable")
        batches = [order[begin : begin + batch_size].tolist() for begin in range(0, num_clips, batch_size)]
        share = -(-len(batches) // world_size)
        self._batches = [batches[i % len(batches)] for i in range(rank, share * world_size, world_size)]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Request]]:
        for batch in self._batches:
            yield [(index, 0) for index in batch]
