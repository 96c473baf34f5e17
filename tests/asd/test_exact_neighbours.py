"""Nearest neighbours equal those of a dense search by differences in float64."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from lightning_modules.asd.backends import neighbours
from lightning_modules.asd.backends.neighbours import nearest


def dense(queries, bank, k, scale: Any = 1.0):
    distances = cdist(queries.double().numpy(), bank.double().numpy()) / scale
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, order, 1), order


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("at_once", [500, 2**24])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distances_and_rows_are_those_of_a_dense_search(monkeypatch, scaled, at_once, dtype):
    monkeypatch.setattr(neighbours, "_BANK_ROWS", 1024)  # several parts, the last one of a broken block
    torch.manual_seed(0)
    queries, bank = torch.randn(40, 24, dtype=dtype), torch.randn(2500, 24, dtype=dtype)
    scale = 0.5 + torch.rand(2500) if scaled else None
    found = nearest(queries, bank, 3, scale, distances_at_once=at_once)
    distance, index = dense(queries, bank, 3, 1.0 if scale is None else scale.double().numpy())
    assert found.distance.dtype == torch.float64
    np.testing.assert_allclose(found.distance.numpy(), distance, rtol=1e-12)
    assert np.array_equal(found.index.numpy(), index)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e5])
@pytest.mark.parametrize("precision", ["highest", "medium"])
def test_rounding_of_the_product_changes_no_neighbour(monkeypatch, offset, precision):
    """Rows that differ by less than a product of float32, let alone of fewer digits, can tell."""
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: precision)
    torch.manual_seed(0)
    centres = torch.randn(30, 16).repeat_interleave(20, 0)
    bank = centres + 1e-4 * torch.randn(600, 16) + offset
    bank[0] += 1e4  # one far away, that the others lie off their mean
    queries = bank[5::30] + 1e-5 * torch.randn(20, 16)
    distance, _ = dense(queries, bank, 4)
    np.testing.assert_allclose(nearest(queries, bank, 4).distance.numpy(), distance, rtol=1e-9, atol=1e-12)


def test_a_coarse_product_is_not_believed(monkeypatch):
    """With a product of eight bits, as by some settings of PyTorch, neighbours are the same."""
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
    product = torch.mm
    monkeypatch.setattr(
        torch, "mm", lambda a, b, *, out: product(a.bfloat16().float(), b.bfloat16().float(), out=out)
    )
    torch.manual_seed(0)
    queries, bank = torch.randn(30, 32), torch.randn(1000, 32)
    distance, index = dense(queries, bank, 5)
    found = nearest(queries, bank, 5)
    assert np.array_equal(found.index.numpy(), index)
    np.testing.assert_allclose(found.distance.numpy(), distance, rtol=1e-12)


def test_equal_rows_and_whole_banks():
    bank = torch.tensor([[0.0, 0], [3, 4]]).repeat(50, 1)
    found = nearest(torch.zeros(1, 2), bank, 60)
    assert found.distance[0].tolist() == [0.0] * 50 + [5.0] * 10
    assert sorted(nearest(torch.ones(1, 2), bank, 1000).index[0].tolist()) == list(range(100))


def test_what_is_not_a_number_ends():
    assert nearest(torch.full((1, 4), torch.nan), torch.randn(100, 4), 2).distance.isnan().all()
