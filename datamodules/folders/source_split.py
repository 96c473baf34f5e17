"""Hold out whole sources: kits, players, instruments, and whatever shares a recording with them."""

from collections.abc import Iterable, Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def join_sources(sources: Sequence[str], twins: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """Number of the part of each clip, int64 (clip,), such that neither a source nor a pair of twins is in two parts.

    Args:
        sources: Source of each clip.
        twins: Numbers of clips that hold the same recording.
    """
    num_clips = len(sources)
    _, nodes = np.unique(np.asarray(sources, np.str_), return_inverse=True)
    edges = np.concatenate(
        [np.stack([np.arange(num_clips), num_clips + nodes], axis=1), np.reshape(list(twins), (-1, 2))]
    ).astype(np.int64)
    size = 2 * num_clips
    graph = coo_matrix((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(size, size))
    return connected_components(graph, directed=False)[1][:num_clips].astype(np.int64)


def hold_out(
    parts: NDArray[np.int64], labels: ArrayLike, *, fraction: float, order: Sequence[str]
) -> NDArray[np.bool_]:
    """Choose parts that hold about `fraction` of the clips of each class: bool (clip,).

    Parts come in a pseudorandom order, the same on every machine. One is taken if it brings the counts of the classes
    nearer to what is wanted and leaves every one of its classes another part; where all are too large, the one that
    exceeds it least is.

    Args:
        parts: int64 (clip,), from `join_sources`.
        labels: bool (clip, class).
        fraction: Of each class, in [0, 1).
        order: One name a clip; the hash of the first name of a part places it.
    """
    _, members = np.unique(parts, return_inverse=True)
    counts = np.zeros((members.max(initial=-1) + 1, np.shape(labels)[1]), np.int64)
    np.add.at(counts, members, np.asarray(labels, np.int64))
    names: dict[int, str] = {}
    for part, name in zip(members.tolist(), order, strict=True):
        names[part] = min(name, names.get(part, name))
    missing = np.rint(fraction * counts.sum(axis=0)).astype(np.int64)
    left = counts.sum(axis=0)
    chosen = np.zeros(len(counts), bool)
    allowed = []
    digests = {part: sha256(name.encode("utf-8", "surrogateescape")).digest() for part, name in names.items()}
    for part in sorted(names, key=digests.__getitem__):
        count = counts[part]
        if not (left > count)[count > 0].all():
            continue
        allowed.append(part)
        if np.abs(missing - count).sum() < np.abs(missing).sum():
            chosen[part] = True
            missing, left = missing - count, left - count
    if allowed and not chosen.any():
        chosen[min(allowed, key=lambda part: np.abs(missing - counts[part]).sum())] = True
    return chosen[members]
