"""What exact nearest neighbours cost beside the bare matrix product and scikit-learn's brute force."""

from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor

from lightning_modules.asd.backends.neighbours import nearest
from lightning_modules.benchmark.checkout_worker import peak_bytes
from lightning_modules.benchmark.steps import name_of, now

DIM = 768
NEIGHBOURS = 5
_PRODUCT = (1024, 2**14)  # queries and rows of the bank at a time


def neighbour_figures(num_queries: int, num_bank: int, *, rounds: int = 1) -> dict[str, Any]:
    """Float32 neighbours of all three in turns, on the GPU where there is one; scikit-learn stays on the CPU.

    Times are those of processors on a CPU, which others' work disturbs least, and else those of the clock.

    Args:
        num_queries: Normally distributed, as the bank.
        num_bank: Rows of the bank.
        rounds: Of which medians are taken.
    """
    from sklearn.neighbors import NearestNeighbors

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    draws = torch.Generator().manual_seed(0)
    queries, bank = (torch.randn(rows, DIM, generator=draws) for rows in (num_queries, num_bank))
    on_device = queries.to(device), bank.to(device)
    brute = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(bank.numpy())
    nearest(on_device[0][:1], on_device[1][: _PRODUCT[1]], NEIGHBOURS)  # the first product starts libraries
    found = memory_gib = None
    turns = []
    for _ in range(rounds):
        found, ours = _timed(lambda: nearest(*on_device, NEIGHBOURS), device)
        memory_gib = memory_gib or _most_memory_gib(device)  # before the others need theirs
        _, product = _timed(lambda: _product(*on_device), device)
        theirs, brute_s = _timed(lambda: brute.kneighbors(queries.numpy()), torch.device("cpu"))
        turns.append((ours, product, brute_s))
    assert found is not None
    exact = _lengths(queries, bank, torch.from_numpy(theirs[1]))
    ours_s, product_s, brute_s = map(median, zip(*turns, strict=True))
    return {
        "device": name_of(device),
        "queries": num_queries,
        "bank": [num_bank, DIM],
        "neighbours": NEIGHBOURS,
        "neighbours_s": ours_s,
        "product_s": product_s,
        "scikit_learn_s": brute_s,
        "scikit_learn_over_ours": median(theirs_s / ours for ours, _, theirs_s in turns),
        "product_over_ours": median(product / ours for ours, product, _ in turns),
        "memory_gib": memory_gib,
        "neighbours_beyond_1e-5": int(((found.distance.cpu() / exact - 1).abs() > 1e-5).sum()),
    }


def _timed(run: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    begin = now(device)
    found = run()
    took = now(device).since(begin)
    return found, took.cpu if device.type == "cpu" else took.wall


def _product(queries: Tensor, bank: Tensor) -> None:
    for few in queries.split(_PRODUCT[0]):
        for part in bank.split(_PRODUCT[1]):
            torch.mm(few, part.T)


def _lengths(queries: Tensor, bank: Tensor, index: Tensor) -> Tensor:
    """Distances from rows of the bank (query, k), in float64, in ascending order."""
    parts = [
        torch.linalg.vector_norm(bank[among].double() - few.double()[:, None], dim=2)
        for few, among in zip(queries.split(1024), index.split(1024), strict=True)
    ]
    return torch.cat(parts).sort(dim=1).values


def _most_memory_gib(device: torch.device) -> float:
    """Of this process so far, of a GPU its own; 0 where the system does not say."""
    on_gpu = device.type == "cuda"
    return (torch.cuda.max_memory_allocated(device) if on_gpu else peak_bytes()) / 2**30
