"""Multiply-accumulates and memory of one run of a network, counted without regard to how long it takes."""

import math
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

Task = Callable[[], Any]


def count_macs(network: nn.Module, run: Task) -> tuple[int, int]:
    """Multiply-accumulates of one run of a network, bias not counted.

    Args:
        network: Whose modules count.
        run: Calls it once, without gradients.

    Returns:
        Those of its Conv and Linear modules, as thop-like tools count, without what layers compute by functions such
        as attention or masked weights; and those of all convolutions, matrix products, attention and recurrent layers.
    """
    of_modules: list[int] = []

    def count(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.Linear):
            of_modules.append(output.numel() * module.in_features)
        elif isinstance(module, _ConvTransposeNd):
            of_modules.append(args[0].numel() * module.weight[0].numel())
        elif isinstance(module, _ConvNd):
            of_modules.append(output.numel() * module.weight[0].numel())

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    counter = FlopCounterMode(display=False, custom_mapping=_formulas())
    try:
        with torch.compiler.set_stance("force_eager"), counter:
            run()
    finally:
        for hook in hooks:
            hook.remove()
    return sum(of_modules), counter.get_total_flops() // 2


def _formulas() -> dict[Any, Callable[..., int]]:
    """Floating-point operations, from shapes, of what PyTorch's counter counts as 0."""
    aten = torch.ops.aten
    return {
        aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
        aten.mkldnn_rnn_layer: _mkldnn_rnn_flops,
        aten._cudnn_rnn: _cudnn_rnn_flops,
    }


def _attention_flops(query: torch.Size, key: torch.Size, value: torch.Size, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


def _mkldnn_rnn_flops(input_: torch.Size, *weights: Any, **_: Any) -> int:
    """Of one layer and direction: input-to-hidden and hidden-to-hidden weights come first."""
    return 2 * math.prod(input_[:-1]) * sum(math.prod(shape) for shape in weights[:2])


def _cudnn_rnn_flops(input_: torch.Size, weights: Iterable[torch.Size], *_: Any, **__: Any) -> int:
    """Of all layers and directions; a bias has one dimension."""
    return 2 * math.prod(input_[:-1]) * sum(math.prod(shape) for shape in weights if len(shape) == 2)


def peak_bytes(run: Task, *, device: torch.device, held: Iterable[Tensor]) -> int:
    """Most bytes in use at any moment of `run`.

    On CUDA what PyTorch's allocator counts. On the CPU, which has no such count, the storages of all tensors alive,
    scratch memory of kernels left out.

    Args:
        run: Is called once.
        device: Where it computes.
        held: Tensors in use from before: weights, gradients and inputs.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device)
    with torch.compiler.set_stance("force_eager"), _LiveTensors(held) as live:
        run()
    return live.peak


class _LiveTensors(TorchDispatchMode):
    """Sums up the storages of tensors from their first appearance to their end.

    Attributes:
        peak: Largest sum so far in bytes.
    """

    def __init__(self, held: Iterable[Tensor]) -> None:
        super().__init__()
        self.peak = self._sum = 0
        self._alive: dict[int, weakref.ref[Any]] = {}
        self._see(held)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        self._see(leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor))
        return output

    def _see(self, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            storage = tensor.untyped_storage()
            key, size = id(storage), storage.nbytes()
            if key not in self._alive:
                self._alive[key] = weakref.ref(storage, lambda _, key=key, size=size: self._forget(key, size))
                self._sum += size
        self.peak = max(self.peak, self._sum)

    def _forget(self, key: int, size: int) -> None:
        del self._alive[key]
        self._sum -= size
