"""Where the time of a training step goes on a CPU, operation by operation, and whether other forms would be faster."""

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule, Trainer
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from lightning_modules.benchmark.forms import other_forms
from lightning_modules.benchmark.step_cost import at_second_step
from lightning_modules.benchmark.steps import bare_steps, name_of

if TYPE_CHECKING:
    from lightning_modules.config.cli import Platform

ROUNDS = 5
_LEAST = 0.002  # share of the step from which an operation of one size is looked at
_SHOWN = 0.01  # and stands in the table
_FASTER = 1.05  # what is less is noise
_HEADINGS = ("operation", "sizes", "calls", "share", "best other form", "times as fast", "differs by")


def operations_report(platform: "Platform") -> dict[str, Any]:
    """Takes training steps of the configuration's batch in processor time; on one thread, for which others do not wait.

    Args:
        platform: The built configuration, on the CPU.

    Returns:
        ``model``, ``device``, ``batch``, ``step_ms``, ``operations``: name -> share of the step, and ``rows``: of each
        operation of one size that takes 0.2 % of a step ``operation``, ``sizes``, ``calls``, ``share`` and, of the
        fastest of its `forms.other_forms`, ``form``, how many times as fast it is, and by how much it ``differs`` over
        the largest number. ``settled`` is the share of the step in rows of which no form is 1.05 times as fast.
    """
    found: dict[str, Any] = {}

    def measure(trainer: Trainer, module: LightningModule, batch: Any) -> None:
        def step() -> None:
            bare_steps(trainer, module, [batch])

        step()
        times = [_seconds(step) for _ in range(ROUNDS)]
        with _Operations() as operations:
            for _ in range(ROUNDS):
                step()
        found.update(operations.report(), step_ms=1e3 * statistics.median(times), batch=list(batch[0].shape))

    at_second_step(platform, measure)
    model = platform.model
    settled = [row["share"] for row in found["rows"] if row["times"] is not None and row["times"] < _FASTER]
    return {
        "model": f"{type(model).__name__} of {type(model.network or model).__name__}",
        "device": f"{name_of(torch.device('cpu'))}, {torch.backends.cpu.get_cpu_capability()}",
        **found,
        "settled": sum(settled),
    }


class _Operations(TorchDispatchMode):
    """Times every operation, and remembers the sizes of what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[Any, float] = defaultdict(float)
        self.calls: Counter[Any] = Counter()
        self.arguments: dict[Any, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        begin = time.process_time()
        result = func(*args, **(kwargs or {}))
        passed = time.process_time() - begin
        sizes = tuple(tuple(each.shape) for each in args if isinstance(each, Tensor))
        key = (str(func).rsplit(".", 1)[0], sizes)
        self.seconds[key] += passed
        self.calls[key] += 1
        if key not in self.arguments:
            self.arguments[key] = tree_map_only(Tensor, _Size, args)
        return result

    def report(self) -> dict[str, Any]:
        total, shares = sum(self.seconds.values()), defaultdict[str, float](float)
        for (operation, _), seconds in self.seconds.items():
            shares[operation] += seconds / total
        rows = [
            {
                "operation": key[0],
                "sizes": [list(size) for size in key[1]],
                "calls": self.calls[key] // ROUNDS,
                "share": seconds / total,
                **_best_form(key[0], self.arguments[key]),
            }
            for key, seconds in _largest_first(self.seconds)
            if seconds >= _LEAST * total
        ]
        return {"operations": dict(_largest_first(shares)), "rows": rows}


def _largest_first(values: Mapping[Any, float]) -> list[tuple[Any, float]]:
    return sorted(values.items(), key=lambda each: -each[1])


class _Size:
    """A tensor without its numbers."""

    def __init__(self, x: Tensor) -> None:
        self.size, self.stride, self.dtype = x.shape, x.stride(), x.dtype

    def noise(self) -> Tensor:
        """One like it."""
        once = [1 if step == 0 else size for size, step in zip(self.size, self.stride, strict=True)]
        x = torch.empty_strided(once, self.stride, dtype=self.dtype)
        return (x.normal_() if x.is_floating_point() else x.zero_()).expand(self.size)


def _best_form(operation: str, arguments: Any) -> dict[str, Any]:
    """The fastest of the other forms, in turns with PyTorch's own."""
    given = tree_map_only(_Size, _Size.noise, arguments)
    forms = other_forms(operation, given)
    if not forms:
        return {"form": None, "times": None, "differs": None}
    space, name = operation.split(".")
    own = getattr(getattr(torch.ops, space), name)
    runs = [lambda: own(*given), *forms.values()]
    times = [[_seconds(run) for run in runs] for _ in range(ROUNDS + 1)][1:]
    gains = [
        statistics.median(first / others[place] for first, *others in times) for place in range(len(forms))
    ]
    best = max(range(len(forms)), key=gains.__getitem__)
    return {
        "form": list(forms)[best],
        "times": gains[best],
        "differs": _difference(runs[0](), runs[1 + best]()),
    }


def _difference(one: Any, other: Any) -> float:
    """The largest between numbers of two results, over the largest number of that tensor; indices left out."""
    pairs = zip(*map(_numbers, (one, other)), strict=False)
    return max(((a - b.reshape(a.shape)).abs().max() / a.abs().max()).item() for a, b in pairs)


def _numbers(found: Any) -> list[Tensor]:
    tensors = [found] if isinstance(found, Tensor) else found
    return [each.detach() for each in tensors if each is not None and each.is_floating_point()]


def _seconds(run: Any) -> float:
    begin = time.process_time()
    run()
    return time.process_time() - begin


def show(figures: dict[str, Any]) -> None:
    """Prints the table."""
    table = Table(*_HEADINGS, title=_title(figures))
    for cells in _shown(figures):
        table.add_row(*cells)
    Console(width=max(Console().width, 140)).print(table)


def markdown(figures: dict[str, Any]) -> str:
    """The same as text."""
    rows = [_HEADINGS, ["---"] * len(_HEADINGS), *_shown(figures)]
    return "\n".join([f"**{_title(figures)}**", "", *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def _shown(figures: dict[str, Any]) -> list[list[str]]:
    return [_cells(row) for row in figures["rows"] if row["share"] >= _SHOWN]


def _title(figures: dict[str, Any]) -> str:
    shares = ", ".join(f"{name} {share:.0%}" for name, share in list(figures["operations"].items())[:3])
    return (
        f"{figures['model']}: {figures['step_ms']:.0f} ms a step ({figures['device']}); {shares};"
        f" {figures['settled']:.0%} in operations of which no other form is faster"
    )


def _cells(row: dict[str, Any]) -> list[str]:
    sizes = ", ".join("×".join(map(str, size)) for size in row["sizes"])
    form = [row["form"] or "", *(f"{row[key]:.2g}" if row["form"] else "" for key in ("times", "differs"))]
    return [row["operation"], sizes, str(row["calls"]), f"{row['share']:.1%}", *form]
