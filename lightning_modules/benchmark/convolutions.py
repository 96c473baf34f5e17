"""Which forms of the gradients of a network's convolutions are fastest on this CPU: what the rules come from.

The convolutions of `networks.convolution` alone are measured, at the sizes of a batch of random clips, without data.
"""

import statistics
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from lightning_modules.benchmark.steps import ROUNDS, name_of, now
from lightning_modules.networks.convolution import (
    Convolution,
    Forms,
    Geometry,
    can_shift,
    choose_forms,
    input_gradient,
    weight_gradient,
)
from lightning_modules.networks.cpu_rule import rule_of_this_cpu

_HEADINGS = ("input", "weights", "gradient of", "PyTorch ms", "columns", "flipped or shifts", "taken")
_CPU = torch.device("cpu")


def convolution_report(network: nn.Module, inputs: tuple[Any, ...]) -> dict[str, Any]:
    """Measures all forms of all convolutions of a network, in turns, in processor time.

    Args:
        network: On the CPU.
        inputs: Its arguments.

    Returns:
        ``network``, ``device``, ``rule`` of this CPU, and ``rows``: shapes of input and weights, which gradient, the
        milliseconds of PyTorch's own, over which the medians of the forms' ratios say how many times as fast these
        are (null where a form does not apply), and which one the rule takes.

    Raises:
        ValueError: The network has no such convolutions.
    """
    rows = [row for layer, x in _layers(network, inputs) for row in _measure(layer, x)]
    if not rows:
        raise ValueError(
            f"{type(network).__name__} has no convolutions with gradients of this project's: nothing to measure"
        )
    return {
        "network": type(network).__name__,
        "device": name_of(_CPU),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "rule": rule_of_this_cpu(),
        "rows": rows,
    }


def _layers(network: nn.Module, inputs: tuple[Any, ...]) -> list[tuple[Convolution, Tensor]]:
    """Convolutions with kernels of more than one place, each size once, and noise of their inputs' size."""
    found: dict[Any, tuple[Convolution, Tensor]] = {}

    def keep(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, Convolution)
        x = torch.randn(given[0].shape).contiguous(memory_format=torch.channels_last)
        found.setdefault(
            (x.shape, layer.weight.shape, layer.stride, layer.padding, layer.dilation), (layer, x)
        )

    layers = [
        each for each in network.modules() if isinstance(each, Convolution) and each.kernel_size != (1, 1)
    ]
    hooks = [each.register_forward_pre_hook(keep) for each in layers]
    try:
        with torch.no_grad():
            network(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return list(found.values())


def _measure(layer: Convolution, x: Tensor) -> list[dict[str, Any]]:
    weight = layer.weight.detach()
    geometry = Geometry(layer.stride, layer.padding, layer.dilation)  # pyright: ignore[reportArgumentType]
    grad = torch.randn_like(F.conv2d(x, weight, None, *geometry))
    taken = choose_forms(rule_of_this_cpu(), x.requires_grad_(), weight, geometry)
    x = x.detach()
    forms = [Forms("torch", "torch"), Forms("columns", "columns")]
    if can_shift(weight.shape[2:], geometry):
        forms.append(Forms("flipped", "shifts"))
    rows = []
    for place, (name, gradient) in enumerate({"input": input_gradient, "weights": weight_gradient}.items()):
        runs = [lambda form=form, of=gradient: of(grad, x, weight, geometry, form) for form in forms]
        own, *ratios = _in_turns(runs)
        rows.append(
            {
                "input": list(x.shape),
                "weights": list(weight.shape),
                "gradient": name,
                "torch_ms": 1e3 * own,
                "columns": ratios[0],
                "flipped_or_shifts": ratios[1] if len(ratios) > 1 else None,
                "taken": "torch" if taken is None else taken[place],
            }
        )
    return rows


def _in_turns(runs: list[Callable[[], Tensor]]) -> list[float]:
    """Median seconds of the first, and of the others the medians of how many times as fast they are."""
    times = [[_seconds(run) for run in runs] for _ in range(ROUNDS + 1)][1:]
    ratios = ([of_first / others[place] for of_first, *others in times] for place in range(len(runs) - 1))
    return [statistics.median(first for first, *_ in times), *map(statistics.median, ratios)]


def _seconds(run: Callable[[], Tensor]) -> float:
    """Processor time of one thread, which other processes hardly change; of several by the clock."""
    begin = now(_CPU)
    run()
    passed = now(_CPU).since(begin)
    return passed.cpu if torch.get_num_threads() == 1 else passed.wall


def show(figures: dict[str, Any]) -> None:
    """Prints the table."""
    table = Table(*_HEADINGS, title=_title(figures))
    for row in figures["rows"]:
        table.add_row(*_cells(row))
    Console(width=max(Console().width, 120)).print(table)


def markdown(figures: dict[str, Any]) -> str:
    """The same as text."""
    rows = [_HEADINGS, ["---"] * len(_HEADINGS), *(_cells(row) for row in figures["rows"])]
    return "\n".join([f"**{_title(figures)}**", "", *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def _title(figures: dict[str, Any]) -> str:
    where = f"{figures['device']}, {figures['capability']}"
    return f"{figures['network']}, gradients of convolutions ({where}; rule {figures['rule']})"


def _cells(row: dict[str, Any]) -> list[str]:
    def cell(value: Any) -> str:
        if isinstance(value, list):
            return "×".join(map(str, value))
        return f"{value:.2f}" if isinstance(value, float) else str(value or "")

    return [cell(value) for value in row.values()]
