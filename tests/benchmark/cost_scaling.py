"""What a training step of N ranks should take, from that of one and the network between them.

The model of slurm/SCALING.md: ranks reduce gradients in a ring, in which each sends 2 (N - 1) / N times their bytes,
while the backward pass still runs, two thirds of a step that is all forward and backward.
"""

import math
from dataclasses import dataclass

BYTES = 4  # of a gradient, float32 under any mixed precision
_BUCKET_BYTES = 25 * 2**20  # that DistributedDataParallel reduces at a time
_BACKWARD = 2 / 3


@dataclass(frozen=True, kw_only=True)
class Link:
    """The slowest connection of the ring.

    Attributes:
        bandwidth: Bytes a second that a rank sends; those of a node share its adapter.
        latency_s: Of a message between neighbours.
    """

    bandwidth: float
    latency_s: float = 2e-5


def reduced_bytes(parameters: int, ranks: int) -> float:
    """Bytes that each rank sends a step, and receives.

    >>> reduced_bytes(297_866, 1), reduced_bytes(1_000_000, 4)
    (0.0, 6000000.0)
    """
    return parameters * BYTES * 2 * (ranks - 1) / ranks


def reduction_s(parameters: int, ranks: int, link: Link) -> float:
    """Seconds to reduce all gradients, with nothing else going on."""
    num_buckets = math.ceil(parameters * BYTES / _BUCKET_BYTES)
    messages = 2 * (ranks - 1) * num_buckets
    return reduced_bytes(parameters, ranks) / link.bandwidth + messages * link.latency_s


def scaling_efficiency(step_s: float, parameters: int, *, ranks: int, link: Link) -> float:
    """Share of N times the speed of one rank that N ranks should reach, in (0, 1].

    Gradients of the first layers are last, and nothing hides the reduction of their bucket.

    Args:
        step_s: A step of one rank.
        parameters: Trainable ones.
        ranks: N, each with batches of the size of the one.
        link: Between them.
    """
    if ranks == 1:
        return 1.0
    whole_s = reduction_s(parameters, ranks, link)
    last_s = reduction_s(min(parameters, _BUCKET_BYTES // BYTES), ranks, link)
    hidden_s = min(whole_s - last_s, _BACKWARD * step_s)
    return step_s / (step_s + whole_s - hidden_s)


def shortest_step_s(parameters: int, *, ranks: int, link: Link, efficiency: float = 0.9) -> float:
    """Seconds that a step of one rank must take for N ranks to reach `efficiency`; see `scaling_efficiency`."""
    spared = 1 / efficiency - 1
    last_s = reduction_s(min(parameters, _BUCKET_BYTES // BYTES), ranks, link)
    return max(last_s / spared, reduction_s(parameters, ranks, link) / (spared + _BACKWARD))
