"""A trained network with fewer operations, for scoring on a CPU; its outputs differ by rounding alone."""

from collections.abc import Iterator
from copy import deepcopy
from itertools import chain
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.nn.utils.fusion import fuse_conv_bn_weights

from lightning_modules.networks.pooling import MaxPool

Module = TypeVar("Module", bound=nn.Module)

_HOOKS = [name for name in vars(nn.Module()) if "_hooks" in name]


def simplified(module: Module) -> Module:
    """Returns a copy in evaluation mode that shares hooks, and all weights but those which it changes.

    Batch norms go into the convolutions before them: those that follow one in an `nn.Sequential`, and those that a
    block names, ``norms = {"conv1": "bn1"}``. Where maxima stand between the two, a norm may only stretch and shift.
    Convolutions keep channels last, and pooling forgets where its maxima were.

    Args:
        module: With floating point weights on a CPU.
    """
    hooks = (getattr(part, name) for part in module.modules() for name in _HOOKS)
    shared = chain(module.parameters(), module.buffers(), hooks)
    copy = deepcopy(module, {id(each): each for each in shared}).eval()
    for part in copy.modules():
        for conv, norm in [*_named(part), *_in_turn(part)]:
            _fold(part, conv, norm)
        for name, child in part.named_children():
            if isinstance(child, nn.MaxPool2d) and (size := _side_by_side(child)):
                setattr(part, name, MaxPool(size))
    for part in copy.modules():
        if isinstance(part, nn.Conv2d) and part.groups == 1:
            part.weight = nn.Parameter(part.weight.detach(), requires_grad=False)
            convert_conv2d_weight_memory_format(part, torch.channels_last)
    return copy


def is_compiled(module: nn.Module) -> bool:
    """Whether calls go through torch.compile, which simplifies by itself."""
    return hasattr(module, "_orig_mod") or module._compiled_call_impl is not None


def _named(part: nn.Module) -> Iterator[tuple[str, str]]:
    yield from getattr(part, "norms", {}).items()


def _in_turn(part: nn.Module) -> Iterator[tuple[str, str]]:
    """Of a sequence, convolutions and the norms of their outputs or of maxima of these."""
    conv = None
    has_maxima = False
    for name, child in part.named_children() if isinstance(part, nn.Sequential) else ():
        if isinstance(child, _ConvNd):
            conv, has_maxima = name, False
        elif isinstance(child, _BatchNorm):
            if conv is not None and (not has_maxima or _is_rising(child)):
                yield conv, name
            conv = None
        elif getattr(child, "is_of_maxima", isinstance(child, nn.MaxPool2d)):
            has_maxima = True
        elif not isinstance(child, nn.Identity | nn.Dropout):
            conv = None


def _is_rising(norm: _BatchNorm) -> bool:
    return norm.weight is None or bool((norm.weight > 0).all())


def _fold(part: nn.Module, conv: str, norm: str) -> None:
    before, after = part.get_submodule(conv), part.get_submodule(norm)
    if not isinstance(before, _ConvNd) or not isinstance(after, _BatchNorm):
        return
    if after.running_mean is None or after.running_var is None:  # of the batch itself
        return
    parts = before.out_channels // after.num_features  # of a max feature map

    def of_parts(values: Tensor | None) -> Tensor | None:
        return None if values is None else values.detach().repeat(parts)

    statistics = (after.running_mean.repeat(parts), after.running_var.repeat(parts), after.eps)
    affine = (of_parts(after.weight), of_parts(after.bias))
    bias = None if before.bias is None else before.bias.detach()
    before.weight, before.bias = fuse_conv_bn_weights(before.weight.detach(), bias, *statistics, *affine)
    setattr(part, norm, nn.Identity())


def _side_by_side(pool: nn.MaxPool2d) -> tuple[int, int] | None:
    """Rows and columns of a pooling whose places neither overlap nor leave gaps or margins."""
    size, stride, padding, dilation = (
        (value, value) if isinstance(value, int) else tuple(value)
        for value in (pool.kernel_size, pool.stride, pool.padding, pool.dilation)
    )
    is_plain = stride == size and padding == (0, 0) and dilation == (1, 1) and not pool.ceil_mode
    return (size[0], size[1]) if is_plain else None
