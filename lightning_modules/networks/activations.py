"""SELU without its slow spot on a CPU."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

_SCALE, _ALPHA = 1.0507009873554805, 1.6732632423543772
_PIECE = 1 << 16  # numbers that stay in the cache of a core


def selu_(x: Tensor) -> Tensor:
    """`torch.nn.functional.selu` in place.

    With AVX-512 PyTorch takes 9 ns a number for expm1, and a fifth of it for a sigmoid. Where nothing is trained in
    float32, expm1(x) is 1 / sigmoid(-x) - 2: off by 2e-7 at most, as sums of convolutions are anyway.
    """
    is_trained = torch.is_grad_enabled() and x.requires_grad
    if is_trained or torch.compiler.is_compiling() or x.dtype != torch.float32 or not _is_slow(x.device.type):
        return F.selu(x, inplace=True)
    dense = x.movedim(1, -1)  # channels last
    if not dense.is_contiguous():
        return F.selu(x, inplace=True)
    one = x.new_ones(())
    for part in dense.view(-1).split(_PIECE):
        sigmoid = part.clamp(max=0).neg_().sigmoid_()
        torch.addcdiv(part.clamp_(min=0), one, sigmoid, value=_ALPHA, out=part)
        part.sub_(2 * _ALPHA).mul_(_SCALE)
    return x


@cache
def _is_slow(device: str) -> bool:
    return device == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX512"
