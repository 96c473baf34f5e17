"""A 2-D convolution whose backward pass is faster on a CPU, at the numbers of PyTorch's own.

The forward pass is PyTorch's. Gradients are the same sums in another order, of those forms that
``python -m lightning_modules.benchmark --convolutions`` found faster:

- with few input channels, of patches laid out as columns: oneDNN has no vectors to fill there;
- without AVX-512, of large maps, that of the weights as products of the gradient with the shifted input, in pieces that
  stay in the cache: oneDNN streams maps in channels last through the cache once for every eight channels. That of the
  input is a forward convolution with the kernel turned round, whose bits are the same.

Shape letters: b clip, c input channel, o output channel, h row, w column.
"""

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.networks.cpu_rule import Rule, Ruled, is_trained_on_cpu, rule_of_this_cpu

_FEW_CHANNELS = 8  # below them, columns
_LARGE_KERNEL = 9  # from which, without AVX-512, columns are faster for weights, too
_LARGE_MAP = 1 << 16  # numbers of a clip's map from which it no longer stays in the cache
_PIXELS = 1024  # of a product
_BAND = 1 << 20  # numbers that are copied at once


class Geometry(NamedTuple):
    """How a kernel moves; each as (rows, columns)."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]


class Forms(NamedTuple):
    """How gradients are computed."""

    of_input: Literal["torch", "flipped", "columns"]
    of_weight: Literal["torch", "shifts", "columns"]


def choose_forms(rule: Rule, x: Tensor, weight: Tensor, geometry: Geometry) -> Forms | None:
    """What is fastest for an input (b, c, h, w) and weights (o, c, kh, kw); None leaves all to PyTorch."""
    kernel = weight.shape[2:]
    if rule == "torch" or kernel.numel() == 1:
        return None
    if weight.shape[1] < _FEW_CHANNELS:
        by_columns = rule == "avx2-1" and kernel.numel() >= _LARGE_KERNEL
        return (
            Forms("columns", "columns" if by_columns else "torch") if x.requires_grad or by_columns else None
        )
    if rule == "avx512-1" or x[0].numel() < _LARGE_MAP:
        return None
    return Forms("flipped", "shifts") if can_shift(kernel, geometry) else None


def can_shift(kernel: torch.Size, geometry: Geometry) -> bool:
    """Whether "flipped" and "shifts" compute the gradients of a kernel (kh, kw)."""
    return geometry.stride == (1, 1) and min(_flipped_padding(kernel, geometry)) >= 0


class Convolution(nn.Conv2d, Ruled):
    """`nn.Conv2d` with gradients by the fastest forms; arguments, state and outputs are the same.

    Only what is trained on a CPU in float32 or float64 takes them. Under autocast, compiled, exported, with groups or
    other padding than zeros it is `nn.Conv2d`. Gradients of gradients are refused.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rule = rule_of_this_cpu()

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: A002
        if self._is_eligible(input, weight):
            geometry = Geometry(self.stride, self.padding, self.dilation)  # pyright: ignore[reportArgumentType]
            forms = choose_forms(self.rule, input, weight, geometry)
            if forms is not None:
                return _WithOwnBackward.apply(input, weight, bias, geometry, forms)  # pyright: ignore
        return super()._conv_forward(input, weight, bias)

    def _is_eligible(self, x: Tensor, weight: Tensor) -> bool:
        return (
            is_trained_on_cpu(x)
            and weight.device == x.device
            and weight.dtype == x.dtype
            and self.groups == 1
            and self.padding_mode == "zeros"
            and not isinstance(self.padding, str)
            and x.ndim == 4
        )


class _WithOwnBackward(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, forms: Forms
    ) -> Tensor:
        ctx.geometry, ctx.forms = geometry, forms
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, *geometry)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        if torch.is_grad_enabled():
            raise RuntimeError(
                "gradients of gradients: the fast backward pass of a Convolution has none; before training call"
                ' lightning_modules.networks.cpu_rule.use_rule(network, "torch")'
            )
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad[:3]
        return (
            input_gradient(grad, x, weight, ctx.geometry, ctx.forms) if of_x else None,
            weight_gradient(grad, x, weight, ctx.geometry, ctx.forms) if of_weight else None,
            _sum_of_pixels(grad) if of_bias else None,
            None,
            None,
        )


def input_gradient(grad: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, forms: Forms) -> Tensor:
    """Gradient (b, c, h, w) of the input, of that (b, o, h', w') of the output."""
    if forms.of_input == "torch":
        return _of_torch(grad, x, weight, geometry, 0)
    if forms.of_input == "columns":
        return _input_by_columns(grad, x, weight, geometry)
    flipped = weight.transpose(0, 1).flip(2, 3).contiguous(memory_format=torch.channels_last)
    padding = _flipped_padding(weight.shape[2:], geometry)
    return F.conv2d(grad, flipped, padding=padding, dilation=geometry.dilation)


def weight_gradient(grad: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, forms: Forms) -> Tensor:
    """Gradient (o, c, kh, kw) of the weights, of that (b, o, h', w') of the output."""
    if forms.of_weight == "torch":
        return _of_torch(grad, x, weight, geometry, 1)
    by = _weight_by_columns if forms.of_weight == "columns" else _weight_by_shifts
    return by(grad, x, weight, geometry)


def _of_torch(grad: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, place: int) -> Tensor:
    arguments = (*map(list, geometry), False, [0, 0], 1, [place == 0, place == 1, False])
    return torch.ops.aten.convolution_backward(grad, x, weight, None, *arguments)[place]


def _sum_of_pixels(grad: Tensor) -> Tensor:
    """Gradient (o,) of the bias; on one thread to the bit that of oneDNN, which adds one pixel after the other."""
    pixels = grad.permute(0, 2, 3, 1).reshape(-1, grad.shape[1])
    return pixels.t() @ pixels.new_ones(len(pixels))


def _flipped_padding(kernel: torch.Size, geometry: Geometry) -> tuple[int, int]:
    """Padding of the convolution that turns the gradient of the output into that of the input."""
    (rows, columns), (top, left), dilation = kernel, geometry.padding, geometry.dilation
    return dilation[0] * (rows - 1) - top, dilation[1] * (columns - 1) - left


def _input_by_columns(grad: Tensor, x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Of each output pixel the gradient of its patch, which falls back into place."""
    (rows, columns), (top, left) = grad.shape[2:], geometry.padding
    channels, height, width = x.shape[1:]
    flat = weight.reshape(weight.shape[0], -1).t().contiguous()  # (c kh kw, o)
    padded = grad.new_zeros(len(x), channels, height + 2 * top, width + 2 * left)
    for each, pixels in zip(padded, grad.permute(0, 2, 3, 1), strict=True):
        patches = (flat @ pixels.reshape(-1, pixels.shape[-1]).t()).view(-1, *weight.shape[2:], rows, columns)
        for row, column, place in _places(weight.shape[2:], geometry, (rows, columns)):
            each[(slice(None), *place)] += patches[:, row, column]
    return padded[..., top : top + height, left : left + width]


def _weight_by_columns(grad: Tensor, x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Product of all patches, laid out as columns, with the gradient of their pixels; clip by clip."""
    total = x.new_zeros(weight[0].numel(), len(weight))
    top, left = geometry.padding
    size = grad.shape[2:]
    for clip, pixels in zip(x, grad.permute(0, 2, 3, 1), strict=True):
        padded = F.pad(clip, (left, left, top, top))
        places = _places(weight.shape[2:], geometry, (size[0], size[1]))
        patches = torch.stack([padded[(slice(None), *place)] for *_, place in places], dim=1)
        total.addmm_(patches.reshape(len(total), -1), pixels.reshape(-1, len(weight)))
    return total.t().reshape(weight.shape)


def _places(
    kernel: torch.Size, geometry: Geometry, size: tuple[int, int]
) -> list[tuple[int, int, tuple[slice, slice]]]:
    """Of each row and column of a kernel, which pixels of the padded input it meets."""

    def met(offset: int, axis: int) -> slice:
        begin, step = offset * geometry.dilation[axis], geometry.stride[axis]
        return slice(begin, begin + (size[axis] - 1) * step + 1, step)

    rows, columns = kernel
    return [(row, column, (met(row, 0), met(column, 1))) for row in range(rows) for column in range(columns)]


def _weight_by_shifts(grad: Tensor, x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Products of the gradient with the input, shifted by each place of the kernel; for a stride of 1.

    Both are copied into rows of one length, so that a shift in rows and columns is one of a long row of pixels.
    """
    (num_out, channels, rows, columns), (down, right) = weight.shape, geometry.dilation
    top, left = geometry.padding
    width = x.shape[3] + 2 * left
    height, above = (
        grad.shape[2],
        down * (rows - 1),
    )  # rows of the input that an output row needs beside its own
    row_size = width * max(channels, num_out)
    band = max(1, min(height, _BAND // row_size))
    clips = max(1, _BAND // ((height + above) * row_size)) if band == height else 1
    total = x.new_zeros(rows, columns, num_out, channels)
    for first in range(0, len(x), clips):
        for begin in range(0, height, band):
            end = min(begin + band, height) + above
            inputs = _pixels(x[first : first + clips], begin - top, end - top, left, left)
            outputs = _pixels(
                grad[first : first + clips, :, : end - above], begin, end, 0, width - grad.shape[3]
            )
            num_pixels = len(inputs) - down * (rows - 1) * width - right * (columns - 1)
            for start in range(0, num_pixels, _PIXELS):
                size = min(_PIXELS, num_pixels - start)
                piece = outputs[start : start + size].t().expand(columns, -1, -1)
                for row in range(rows):
                    shifted = inputs.as_strided(
                        (columns, size, channels),
                        (right * channels, channels, 1),
                        (start + row * down * width) * channels,
                    )
                    total[row].baddbmm_(piece, shifted)
    return total.permute(2, 3, 0, 1).contiguous(memory_format=torch.channels_last)


def _pixels(maps: Tensor, begin: int, end: int, left: int, right: int) -> Tensor:
    """Rows of maps (b, c, h, w) as pixels (b h' w', c), zeros where `begin`, `end` or the sides lie outside."""
    num_clips, channels, height, width = maps.shape
    padded = maps.new_empty(num_clips, end - begin, left + width + right, channels)
    low, high = max(begin, 0), max(min(end, height), begin, 0)
    inner = padded[:, low - begin : high - begin]
    for margin in (
        padded[:, : low - begin],
        padded[:, high - begin :],
        inner[:, :, :left],
        inner[:, :, left + width :],
    ):
        margin.zero_()
    inner[:, :, left : left + width] = maps[:, :, low:high].permute(0, 2, 3, 1)
    return padded.view(-1, channels)
