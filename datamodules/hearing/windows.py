"""Overlapping windows of a recording that is decoded block by block."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 1 << 18  # samples that are put together before windows are cut: blocks of films are of a thousand


def windows(
    blocks: Iterable[NDArray[np.float32]], size: int, hop: float
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yields first sample and samples (channel, `size`) of windows, of which the last ends where the recording does.

    Memory is bounded by a window and a block.

    Args:
        blocks: A recording piece by piece, (channel, time).
        size: Samples of a window; a recording of fewer has none.
        hop: Samples from window to window, which need not be whole.
    """
    number = begin = total = end = 0
    heard: NDArray[np.float32] | None = None
    for block in _joined(blocks):
        heard = block if heard is None else np.concatenate([heard, block], axis=1)
        total += block.shape[1]
        place = total - heard.shape[1]
        while begin + size <= total:
            yield begin, heard[:, begin - place : begin - place + size]
            number, end = number + 1, begin + size
            begin = round(number * hop)
        heard = heard[:, -size:]
    if heard is not None and end < total and size <= total:
        yield total - size, heard


def _joined(blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    waiting: list[NDArray[np.float32]] = []
    for block in blocks:
        waiting.append(block)
        if sum(part.shape[1] for part in waiting) >= _AT_ONCE:
            yield np.concatenate(waiting, axis=1)
            waiting = []
    if waiting:
        yield np.concatenate(waiting, axis=1)
