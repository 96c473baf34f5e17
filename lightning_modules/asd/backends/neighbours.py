"""Exact nearest neighbours by euclidean distance, at about the speed of the product of both matrices."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

_BANK_ROWS = 2**14  # at a time: matrices of this width are about as fast as wider ones
_BLOCK = 64
_ROUNDING = {"highest": 0.0, "high": 2.0**-11, "medium": 2.0**-8}  # of float32 factors, by PyTorch's setting


class Neighbours(NamedTuple):
    """Of each query, the nearest first.

    Attributes:
        distance: float64 (query, k).
        index: int64 (query, k), rows of the bank.
    """

    distance: Tensor
    index: Tensor


def nearest(
    queries: Tensor, bank: Tensor, k: int, scale: Tensor | None = None, *, distances_at_once: int = 2**24
) -> Neighbours:
    """The k nearest rows of a bank.

    By one matrix product 2k candidates are found, by lower bounds of their distances; these are measured anew by
    differences in float64, where no digit cancels. A query whose k-th distance lies above the bound of some row that is
    no candidate gets more of them. Rows may be others than the nearest where distances are equal in float64.

    Args:
        queries: (query, dim).
        bank: (n, dim) of the same type, float32 or float64.
        k: Neighbours; all of the bank where it has fewer.
        scale: (n,), positive: by what the distance from each row is divided, before they are compared.
        distances_at_once: Bounds the memory.
    """
    k, scale = min(k, len(bank)), None if scale is None else scale.double()
    distance = queries.new_empty(len(queries), k, dtype=torch.float64)
    index = torch.empty_like(distance, dtype=torch.long)
    rows, num_candidates = torch.arange(len(queries), device=queries.device), 2 * k
    while len(rows):
        if num_candidates < len(bank):
            among = _candidates(queries[rows], bank, num_candidates, scale, distances_at_once)
            found = _of_candidates(queries[rows], bank, among.index, k, scale, distances_at_once)
            unsure = found.distance[:, -1] > among.distance[:, -1]  # nearer ones may be beyond the candidates
        else:
            found = _of_all(queries[rows], bank, k, scale, distances_at_once)
            unsure = torch.zeros_like(rows, dtype=torch.bool)
        distance[rows], index[rows] = found
        rows, num_candidates = rows[unsure], 4 * num_candidates
    return Neighbours(distance, index)


def _candidates(queries: Tensor, bank: Tensor, num: int, scale: Tensor | None, at_once: int) -> Neighbours:
    """Rows of the least lower bounds of their distances, and these bounds."""
    centre = bank.mean(dim=0)  # shorter vectors lose fewer digits
    queries = queries - centre
    slack = 1 - 4 * _relative_error(queries)
    offsets = queries.square().sum(dim=1, keepdim=True).mul(slack)
    queries = torch.cat([queries, torch.ones_like(offsets)], dim=1)
    best = queries.new_full((len(queries), num), torch.inf)
    index = torch.zeros_like(best, dtype=torch.long)
    buffer = queries.new_empty(0)  # that pages are not mapped anew for each part
    start = 0
    for part in bank.split(max(1, min(at_once, _BANK_ROWS))):
        # |a - b|² = |a|² + |b|² - 2ab is the product of (a, 1) and (-2b, |b|²), but for |a|² of a query
        centred = part - centre
        norms = centred.square().sum(dim=1, keepdim=True).mul(slack)
        factors = torch.cat([centred.mul_(-2), norms], dim=1).T
        units = None if scale is None else scale[start : start + len(part)].pow(-2).to(queries.dtype)
        for few in _parts(len(queries), at_once // len(part)):
            bounds = torch.mm(queries[few], factors, out=buffer.resize_(0))
            if units is not None:
                bounds.add_(offsets[few]).clamp_(min=0).mul_(units)
            values, columns = _least(bounds, min(num, len(part)))
            best[few], order = torch.cat([best[few], values], dim=1).topk(num, largest=False)
            index[few] = torch.cat([index[few], columns + start], dim=1).gather(1, order)
        start += len(part)
    squares = best if scale is not None else best + offsets
    return Neighbours(squares.clamp(min=0).double().sqrt(), index)


def _least(values: Tensor, num: int) -> tuple[Tensor, Tensor]:
    """The least of each row (batch, num), and their columns, in any order."""
    if values.shape[1] % _BLOCK or values.shape[1] // _BLOCK <= num:
        found = values.topk(num, largest=False, sorted=False)
        return found.values, found.indices
    blocks = values.view(len(values), -1, _BLOCK)  # the least values lie in the blocks of the least minima
    chosen = blocks.amin(dim=2).topk(num, largest=False, sorted=False).indices
    among = blocks.gather(1, chosen[:, :, None].expand(-1, -1, _BLOCK)).flatten(1)
    found = among.topk(num, largest=False, sorted=False)
    block, place = found.indices // _BLOCK, found.indices % _BLOCK
    return found.values, chosen.gather(1, block) * _BLOCK + place


def _relative_error(values: Tensor) -> float:
    """Most by which rounding changes a product of rows, of the product of their lengths."""
    rounding = _ROUNDING[torch.get_float32_matmul_precision()] if values.dtype == torch.float32 else 0.0
    return (values.shape[1] + 16) * torch.finfo(values.dtype).eps / 2 + 2 * rounding


def _of_candidates(
    queries: Tensor, bank: Tensor, candidates: Tensor, k: int, scale: Tensor | None, at_once: int
) -> Neighbours:
    found = []
    for few in _parts(len(queries), at_once // (candidates.shape[1] * bank.shape[1])):
        among = candidates[few]
        difference = bank[among].double() - queries[few].double()[:, None]
        distances = torch.linalg.vector_norm(difference, dim=2)
        values, order = (distances if scale is None else distances / scale[among]).topk(k, largest=False)
        found.append(Neighbours(values, among.gather(1, order)))
    return Neighbours(*map(torch.cat, zip(*found, strict=True)))


def _of_all(queries: Tensor, bank: Tensor, k: int, scale: Tensor | None, at_once: int) -> Neighbours:
    found = []
    bank = bank.double()
    for few in _parts(len(queries), at_once // len(bank)):
        mode = "donot_use_mm_for_euclid_dist"  # whose rounding drowns small distances between long vectors
        distances = torch.cdist(queries[few].double(), bank, compute_mode=mode)
        found.append(Neighbours(*(distances if scale is None else distances / scale).topk(k, largest=False)))
    return Neighbours(*map(torch.cat, zip(*found, strict=True)))


def _parts(length: int, size: int) -> Iterator[slice]:
    size = max(1, size)
    return (slice(start, start + size) for start in range(0, length, size))
