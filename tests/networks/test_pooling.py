"""Maximum pooling: PyTorch's to the bit, with less kept for the backward pass."""

import pytest
import torch
import torch.nn.functional as F

from lightning_modules.networks.elu import selu_
from lightning_modules.networks.pooling import max_pool

LAYOUTS = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
SIZES = pytest.mark.parametrize("size", [(1, 3), (2, 2)])


def maps(layout, *, dtype=torch.float32):
    """With ties, as rectifiers leave them, and sides that no window covers."""
    return torch.randn(2, 5, 7, 11, dtype=dtype).clamp(min=0).contiguous(memory_format=layout)


@LAYOUTS
@SIZES
def test_the_same_to_the_bit(layout, size):
    x = maps(layout)
    x[0, 1, 2, 3] = torch.nan
    assert torch.equal(max_pool(x, size).nan_to_num(9), F.max_pool2d(x, size).nan_to_num(9))


@LAYOUTS
@SIZES
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_the_same_to_the_bit(layout, size, dtype):
    x = maps(layout, dtype=dtype).requires_grad_()
    pooled = max_pool(x, size)
    weights = torch.randn_like(pooled)
    ours, expected = (torch.autograd.grad(y, x, weights)[0] for y in (pooled, F.max_pool2d(x, size)))
    assert torch.equal(pooled, F.max_pool2d(x, size))
    assert torch.equal(ours, expected)
    assert ours.stride() == expected.stride()


@LAYOUTS
def test_gradients_of_gradients(layout):
    x = torch.randn(2, 3, 4, 6, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: max_pool(selu_(x * 1.0), (2, 3)), x)
    assert torch.autograd.gradgradcheck(lambda x: max_pool(x, (2, 3)), x)


def test_four_bytes_a_maximum_are_kept():
    kept = []
    x = maps(torch.channels_last).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(
        lambda saved: kept.append(saved.nbytes), lambda saved: saved
    ):
        pooled = max_pool(x, (1, 3))
    assert sum(kept) == 4 * pooled.numel()
