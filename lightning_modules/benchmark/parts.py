"""Front end and network by themselves: batched against clip by clip, and against another implementation."""

import copy
import pkgutil
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from lightning_modules.benchmark.steps import ROUNDS, now
from lightning_modules.config.cli import Platform


def frontend_figures(model: Any, waveform: Tensor) -> dict[str, float]:
    """Clips per second of the front end: a batch on the training device, and clip by clip on the CPU.

    Args:
        model: An `EvaluatedModule`.
        waveform: (batch, channel, time).
    """
    frontend = model.frontend
    if frontend is None or isinstance(frontend, nn.Identity):
        return {}
    on_cpu, on_device = copy.deepcopy(frontend).cpu(), waveform.to(model.device)
    batched_s, single_s = [], []
    with torch.no_grad():
        for _ in range(ROUNDS + 1):
            begin = now(model.device)
            frontend(on_device)
            batched_s.append(now(model.device).since(begin).wall)
            begin = time.perf_counter()
            for clip in waveform.cpu().split(1):
                on_cpu(clip)
            single_s.append(time.perf_counter() - begin)
    ratios = [single / batched for single, batched in zip(single_s[1:], batched_s[1:], strict=True)]
    return {
        "frontend_clips_per_s": len(waveform) / statistics.median(batched_s[1:]),
        "frontend_batched_over_per_clip": statistics.median(ratios),
    }


def reference_figures(platform: Platform, waveform: Tensor, reference: str) -> dict[str, float]:
    """Steps of the model against those of another implementation, in turns.

    A step is the forward pass of the waveforms, the backward pass of the mean square of what comes out, and the
    configuration's optimizer; objectives are not in it.

    Args:
        platform: The built configuration.
        waveform: (batch, channel, time), what both are called with.
        reference: ``module.path:factory``, of a callable without arguments that returns a module.

    Raises:
        ValueError: There is no such callable, or the model has no ``forward``.
    """
    model: Any = platform.model
    ours = _step(platform, model, waveform)
    theirs = _step(platform, _make(reference).to(model.device), waveform)
    rounds = [(_seconds(ours, model.device), _seconds(theirs, model.device)) for _ in range(ROUNDS + 1)][1:]
    ours_s, theirs_s = (statistics.median(seconds) for seconds in zip(*rounds, strict=True))
    return {
        "network_step_s": ours_s,
        "reference_step_s": theirs_s,
        "ours_over_reference": statistics.median(ours / theirs for ours, theirs in rounds),
    }


def _make(reference: str) -> nn.Module:
    try:
        factory = pkgutil.resolve_name(reference)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"--reference {reference}: {error}; expected module.path:factory, with its folder in PYTHONPATH"
        ) from error
    return factory()


def _step(platform: Platform, module: nn.Module, waveform: Tensor) -> Callable[[], None]:
    model: Any = platform.model
    optimizer = model.optimizer_factory([each for each in module.parameters() if each.requires_grad])
    on_device = waveform.to(model.device)
    module.train()

    def step() -> None:
        optimizer.zero_grad()
        with platform.trainer.precision_plugin.train_step_context():
            outputs = [each for each in tree_leaves(module(on_device)) if isinstance(each, Tensor)]
            loss = torch.stack([each.float().square().mean() for each in outputs if each.numel()]).sum()
        loss.backward()
        optimizer.step()

    return step


def _seconds(run: Callable[[], None], device: torch.device) -> float:
    begin = now(device)
    run()
    return now(device).since(begin).wall
