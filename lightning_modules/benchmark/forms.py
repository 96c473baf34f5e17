"""Other ways to compute what an operation of a training step computes, on the CPU, from PyTorch's own operations."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.networks.convolution import (
    Forms,
    Geometry,
    can_shift,
    input_gradient,
    weight_gradient,
)

_OTHER_LAYOUT = "other layout"

Run = Callable[[], Any]


def other_forms(operation: str, args: tuple[Any, ...]) -> Mapping[str, Run]:
    """Name -> form, of the same numbers but for rounding; none where no other is known.

    Copies into another layout are made here, once: a network could carry it from layer to layer.

    Args:
        operation: As ``aten.mm``.
        args: As PyTorch's own takes them.
    """
    return _OF[operation](*args) if operation in _OF else {}


def _relaid(x: Tensor) -> Tensor:
    """Maps in channels last where they are not, and the other way round; those of one axis as maps of one row."""
    if x.ndim == 3:
        return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    last = x.is_contiguous(memory_format=torch.channels_last)
    return x.contiguous(memory_format=torch.contiguous_format if last else torch.channels_last)


def _as_maps(values: list[int], fill: int) -> list[int]:
    return [fill, *values] if len(values) == 1 else list(values)


def _convolution(
    x: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, *others: Any
) -> dict[str, Run]:
    moves = (_as_maps(stride, 1), _as_maps(padding, 0), _as_maps(dilation, 1))
    transposed, _, groups = others
    if transposed:
        return {}
    x2, weight2 = _relaid(x), _relaid(weight)
    forms: dict[str, Run] = {_OTHER_LAYOUT: lambda: F.conv2d(x2, weight2, bias, *moves, groups)}
    if groups == 1 and x.ndim == 4:
        forms["columns"] = lambda: _by_columns(x, weight, bias, moves)
    return forms


def _by_columns(x: Tensor, weight: Tensor, bias: Tensor | None, moves: tuple[list[int], ...]) -> Tensor:
    stride, padding, dilation = map(tuple, moves)
    one = weight[0, 0].numel() == 1 and stride == (1, 1)
    size = tuple(weight.shape[2:])
    columns = x.flatten(2) if one else F.unfold(x, size, dilation=dilation, padding=padding, stride=stride)
    found = weight.flatten(1) @ columns
    return found if bias is None else found + bias[:, None]


def _convolution_backward(
    grad: Tensor, x: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, *others: Any
) -> dict[str, Run]:
    *_, groups, wanted = others
    if others[0]:
        return {}
    moves = (_as_maps(stride, 1), _as_maps(padding, 0), _as_maps(dilation, 1))
    relaid = [_relaid(each) for each in (grad, x, weight)]
    settings = (bias, *moves, False, [0, 0], groups, wanted)
    forms: dict[str, Run] = {_OTHER_LAYOUT: lambda: torch.ops.aten.convolution_backward(*relaid, *settings)}
    if groups > 1 or x.ndim != 4:
        return forms
    geometry = Geometry(*map(tuple, moves))  # pyright: ignore[reportArgumentType]

    def gradients(how: Forms) -> list[Tensor]:
        of = (input_gradient, weight_gradient)
        return [
            each(grad, x, weight, geometry, how)
            for each, is_wanted in zip(of, wanted, strict=False)
            if is_wanted
        ]

    forms["columns"] = lambda: gradients(Forms("columns", "columns"))
    if can_shift(weight.shape[2:], geometry):
        forms["flipped and shifts"] = lambda: gradients(Forms("flipped", "shifts"))
    return forms


def _product(a: Tensor, b: Tensor) -> dict[str, Run]:
    rows, inner = a.shape
    maps = a.contiguous().view(1, rows, 1, inner).permute(0, 3, 1, 2)
    kernel = b.t().contiguous().view(-1, inner, 1, 1)
    return {
        "turned round": lambda: (b.t() @ a.t()).t(),
        "1 x 1 convolution": lambda: F.conv2d(maps, kernel).permute(0, 2, 3, 1).view(rows, -1),
    }


def _sum_and_product(bias: Tensor, a: Tensor, b: Tensor) -> dict[str, Run]:
    return {"product, then sum": lambda: (a @ b).add_(bias), **_with_bias(bias, _product(a, b))}


def _with_bias(bias: Tensor, forms: Mapping[str, Any]) -> dict[str, Run]:
    return {name: lambda form=form: form().add_(bias) for name, form in forms.items()}


def _batch_product(a: Tensor, b: Tensor) -> dict[str, Run]:
    return {
        "turned round": lambda: (b.mT @ a.mT).mT,
        "one by one": lambda: torch.stack([one @ other for one, other in zip(a, b, strict=True)]),
    }


def _norm(x: Tensor, *others: Any) -> dict[str, Run]:
    weight, bias, *_, eps = others
    forms: dict[str, Run] = {"variance, then scale": lambda: _by_variance(x, weight, bias, eps)}
    if x.ndim in (3, 4):
        relaid = _relaid(x)
        forms[_OTHER_LAYOUT] = lambda: torch.ops.aten.native_batch_norm(relaid, *others)
    return forms


def _by_variance(x: Tensor, weight: Any, bias: Any, eps: float) -> Tensor:
    variance, mean = torch.var_mean(x, [each for each in range(x.ndim) if each != 1], correction=0)
    scale = (variance + eps).rsqrt() * (1 if weight is None else weight)
    shift = (0 if bias is None else bias) - mean * scale
    size = [-1, *[1] * (x.ndim - 2)]
    return torch.addcmul(shift.view(size), x, scale.view(size))


def _norm_backward(grad: Tensor, x: Tensor, *others: Any) -> dict[str, Run]:
    if x.ndim not in (3, 4):
        return {}
    relaid = (_relaid(grad), _relaid(x))
    return {_OTHER_LAYOUT: lambda: torch.ops.aten.native_batch_norm_backward(*relaid, *others)}


def _pooling(x: Tensor, *others: Any) -> dict[str, Run]:
    relaid = _relaid(x)
    return {_OTHER_LAYOUT: lambda: torch.ops.aten.max_pool2d_with_indices(relaid, *others)}


def _elu(x: Tensor, alpha: float = 1, scale: float = 1, *_: Any) -> dict[str, Run]:
    def by_exponential() -> Tensor:
        below = x.clamp(max=0).exp_().sub_(1)
        return x.clamp(min=0).mul_(scale).add_(below, alpha=alpha * scale)

    return {"exponential function less one": by_exponential}


def _softmax(x: Tensor, dim: int, *_: Any) -> dict[str, Run]:
    return {"without a look for rows of minus infinity": lambda: x.softmax(dim)}


def _gelu(x: Tensor, *_: Any) -> dict[str, Run]:
    return {"by the error function": lambda: (x * 0.5**0.5).erf_().add_(1).mul_(x).mul_(0.5)}


def _layer_norm(x: Tensor, size: list[int], weight: Tensor, bias: Tensor, eps: float) -> dict[str, Run]:
    def by_variance() -> Tensor:
        variance, mean = torch.var_mean(x, list(range(-len(size), 0)), correction=0, keepdim=True)
        return torch.addcmul(bias, (x - mean) * (variance + eps).rsqrt(), weight)

    return {"variance, then scale": by_variance}


_OF: dict[str, Callable[..., Mapping[str, Run]]] = {
    "aten.convolution": _convolution,
    "aten.convolution_backward": _convolution_backward,
    "aten.mm": _product,
    "aten.addmm": _sum_and_product,
    "aten.bmm": _batch_product,
    "aten.native_batch_norm": _norm,
    "aten.native_batch_norm_backward": _norm_backward,
    "aten.max_pool2d_with_indices": _pooling,
    "aten.elu": _elu,
    "aten.gelu": _gelu,
    "aten.native_layer_norm": _layer_norm,
    "aten._safe_softmax": _softmax,
}
