"""What a configuration's network costs: parameters, multiply-accumulates, memory and time, at any length of input.

The network alone is measured, on what the front end makes of random clips; no data set is needed. A clip costs what
scoring it takes: all its windows, for detectors that score windows. A training step is the forward pass, the backward
pass of the mean square of what the network returns, and the step of the configuration's optimizer; data and
objectives are not in it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.benchmark import Timer

from datamodules.clips import Batch
from lightning_modules.asd.detector import AnomalousSoundDetector
from lightning_modules.asd.window_detector import WindowDetector
from lightning_modules.benchmark.cost_counters import Task, count_macs, peak_bytes
from lightning_modules.benchmark.steps import name_of
from lightning_modules.config.cli import Platform

WHOLE_CLIP_S = 10.0  # where the configuration takes clips as long as they are
MIN_TIMED_S = 1.0
TOOLS = (
    "module GMAC: hooks on Conv and Linear modules, as thop-like tools count; bias and functional calls left out.",
    f"full GMAC: torch.utils.flop_counter of torch {torch.__version__}, halved; all matrix products, attention too.",
    "MB: peak of a batch, weights included; torch.cuda.max_memory_allocated on CUDA, all tensors alive on the CPU.",
    f"ms: torch.utils.benchmark, median over {MIN_TIMED_S:g} s.",
)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one length of input, a clip; memory is that of the whole batch.

    Attributes:
        length: What was asked for, e.g. ``10 s`` or ``1024 frames``.
        input: Shape of the network's input, of the whole batch.
        parameters: Parameters of the network in millions.
        module_gmac: Multiply-accumulates of Conv and Linear modules in 1e9.
        full_gmac: Multiply-accumulates of all matrix products in 1e9.
        forward_mb: Peak memory of the forward pass in 1e6 bytes.
        training_mb: Peak memory of a training step in 1e6 bytes.
        forward_ms: Time of the forward pass in milliseconds.
        training_ms: Time of a training step in milliseconds.
    """

    length: str
    input: str
    parameters: float
    module_gmac: float
    full_gmac: float
    forward_mb: float
    training_mb: float
    forward_ms: float
    training_ms: float


_HEADINGS = (
    *("length", "input", "params M", "module GMAC", "full GMAC"),
    *("forward MB", "training MB", "forward ms", "training ms"),
)


def cost_report(
    platform: Platform, *, seconds: Sequence[float] = (), frames: Sequence[int] = (), num_clips: int = 2
) -> dict[str, Any]:
    """Measures the network of a configuration on its device and in its precision; trains it a little.

    Args:
        platform: The built configuration.
        seconds: Lengths of clips; without any, and without frames, that of the evaluation crop.
        frames: Lengths of the network's input itself, in frames (samples where it takes waveforms).
        num_clips: Clips a batch; batch norm needs two.

    Returns:
        ``network``, ``device``, ``precision``, ``clips``, ``rows`` (see `Cost`), ``tools`` and, where the network
        says something about its published cost, ``note``.

    Raises:
        ValueError: For a model without a network of that name, or lengths that are not positive.
    """
    model: Any = platform.model
    data, trainer = platform.datamodule, platform.trainer
    if model.network is None:
        raise ValueError(
            f"{type(model).__name__} has no single network to measure: take another configuration"
        )
    if min([*seconds, *frames, num_clips]) <= 0:
        raise ValueError(
            f"lengths {[*seconds, *frames]}, {num_clips} clips a batch: expected only positive numbers"
        )
    model.to(trainer.strategy.root_device)
    trainer.precision_plugin.convert_module(model.network)
    crop_s = data.eval_crop_s or WHOLE_CLIP_S
    rows = []
    for clip_s in seconds or [crop_s] * (not frames):
        inputs = network_inputs(model, round(clip_s * data.sample_rate), num_clips=num_clips)
        rows.append(_measure(platform, f"{clip_s:g} s", inputs, num_clips))
    for length in frames:
        features, *others = network_inputs(model, round(crop_s * data.sample_rate), num_clips=num_clips)
        features = torch.randn(num_clips, *features.shape[1:-1], length, device=model.device)
        rows.append(_measure(platform, f"{length} frames", (features, *others), num_clips))
    figures = {
        "network": type(model.network).__name__,
        "device": name_of(model.device),
        "precision": str(trainer.precision),
        "clips": num_clips,
        "rows": [asdict(row) for row in rows],
        "tools": TOOLS,
    }
    note = getattr(model.network, "cost_note", None)
    return figures | ({"note": note} if note else {})


def network_inputs(model: Any, num_samples: int, *, num_clips: int) -> tuple[Any, ...]:
    """What the network is called with when a model scores random clips of (num_clips, 1, num_samples)."""
    batch = _random_batch(num_samples, num_clips, model.device)
    if isinstance(model, WindowDetector):
        model.windows_per_pass = num_clips * num_samples  # all windows in one call
    if isinstance(model, AnomalousSoundDetector):
        model.instances = sorted(set(batch.attributes["instance"]))
    hook = model.network.register_forward_pre_hook(_capture)
    model.eval()
    try:
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            model.score(batch)
    except _NetworkCalled as call:
        return call.inputs
    finally:
        hook.remove()
    raise ValueError(f"{type(model).__name__} does not call its network to score a clip: nothing to measure")


class _NetworkCalled(Exception):  # noqa: N818
    """Ends scoring where the network's turn would come."""

    def __init__(self, inputs: tuple[Any, ...]) -> None:
        self.inputs = inputs


def _capture(_: nn.Module, inputs: tuple[Any, ...]) -> NoReturn:
    raise _NetworkCalled(inputs)


def _random_batch(num_samples: int, num_clips: int, device: torch.device) -> Batch:
    return Batch(
        waveform=0.1 * torch.randn(num_clips, 1, num_samples, device=device),
        length=torch.full((num_clips,), num_samples, device=device),
        target=torch.zeros(num_clips, dtype=torch.long, device=device),
        index=torch.arange(num_clips, device=device),
        key=[str(i) for i in range(num_clips)],
        attributes={"instance": ["random/noise"] * num_clips},
    )


def _measure(platform: Platform, length: str, inputs: tuple[Any, ...], num_clips: int) -> Cost:
    model: Any = platform.model
    network: nn.Module = model.network
    precision = platform.trainer.precision_plugin
    inputs = precision.convert_input(inputs)
    optimizer = model.optimizer_factory([p for p in network.parameters() if p.requires_grad])

    def forward() -> Any:
        with precision.forward_context():
            return network(*inputs)

    def train() -> None:
        optimizer.zero_grad()
        outputs = [leaf for leaf in tree_leaves(forward()) if leaf.numel()]
        torch.stack([leaf.float().square().mean() for leaf in outputs]).sum().backward()
        optimizer.step()

    def train_twice() -> None:
        train()  # makes gradients and the optimizer's state, with which the second peaks
        train()

    optimizer.zero_grad()  # none from a length before
    held = [*network.parameters(), *network.buffers(), *(each for each in inputs if isinstance(each, Tensor))]
    network.eval()
    with torch.no_grad():
        module_macs, full_macs = count_macs(network, forward)
        forward_bytes = peak_bytes(forward, device=model.device, held=held)
        forward_s = _seconds(forward)
    network.train()
    training_bytes = peak_bytes(train_twice, device=model.device, held=held)
    return Cost(
        length=length,
        input=", ".join("×".join(map(str, each.shape)) for each in inputs if isinstance(each, Tensor)),
        parameters=sum(p.numel() for p in network.parameters()) / 1e6,
        module_gmac=module_macs / num_clips / 1e9,
        full_gmac=full_macs / num_clips / 1e9,
        forward_mb=forward_bytes / 1e6,
        training_mb=training_bytes / 1e6,
        forward_ms=1e3 * forward_s / num_clips,
        training_ms=1e3 * _seconds(train) / num_clips,
    )


def _seconds(run: Task) -> float:
    timer = Timer("run()", globals={"run": run}, num_threads=torch.get_num_threads())
    return timer.blocked_autorange(min_run_time=MIN_TIMED_S).median


def show(figures: dict[str, Any]) -> None:
    """Prints the table and how each figure came about."""
    table = Table(*_HEADINGS, title=_title(figures))
    for row in figures["rows"]:
        table.add_row(*_cells(row))
    Console(width=max(Console().width, 120)).print(table)
    print(*_remarks(figures), sep="\n")


def markdown(figures: dict[str, Any]) -> str:
    """The same as text for a README."""
    rows = [_HEADINGS, ["---"] * len(_HEADINGS), *(_cells(row) for row in figures["rows"])]
    lines = [f"**{_title(figures)}**", "", *("| " + " | ".join(cells) + " |" for cells in rows)]
    return "\n".join([*lines, "", *(f"- {remark}" for remark in _remarks(figures))]) + "\n"


def _title(figures: dict[str, Any]) -> str:
    where = f"{figures['device']}, precision {figures['precision']}, {figures['clips']} clips a batch"
    return f"{figures['network']}, costs of a clip ({where})"


def _cells(row: dict[str, Any]) -> list[str]:
    digits = {"parameters": 3, "module_gmac": 3, "full_gmac": 3}
    return [
        each if isinstance(each, str) else f"{each:,.{digits.get(name, 1)}f}" for name, each in row.items()
    ]


def _remarks(figures: dict[str, Any]) -> list[str]:
    return [*figures["tools"], *([figures["note"]] if "note" in figures else [])]
