"""Measures what the platform costs on this machine: training steps against a bare loop, and the loader.

The platform (Trainer, callbacks, loggers, checkpoints) and a bare PyTorch loop take turns on the same module,
optimizer and batches; the figure is the ratio of their times, which a busy machine disturbs least.

Examples:
    python -m lightning_modules.benchmark --config configs/ssd_aasist.yaml
    python -m lightning_modules.benchmark --config configs/ssd_aasist.yaml --data.batch_size=4 --json result.json
    python -m lightning_modules.benchmark --config configs/ssd_aasist.yaml --cost --cost_seconds 2 4 8

With --cost it measures the network alone, without data: parameters, multiply-accumulates, memory and time.
"""

import argparse
import copy
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.data import DataLoader

from lightning_modules import cli, cost
from lightning_modules.cli import Platform

WARMUP_STEPS = 1
ROUNDS = 5
MAX_STEPS = 50


class TakeTurns(Callback):
    """After every ``steps`` steps of the platform, runs as many of a bare loop on the same module.

    Attributes:
        platform_s: Seconds of each block of platform steps.
        bare_s: Seconds of each block of bare steps.
    """

    def __init__(self, batches: Sequence[Any], budget_s: float) -> None:
        self.batches = batches
        self.budget_s = budget_s
        self.steps = 0
        self.platform_s: list[float] = []
        self.bare_s: list[float] = []
        self._since = 0.0

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Ends a block of the platform when it is due, and lets the bare loop run."""
        done = batch_idx - WARMUP_STEPS
        if done == 0:
            self.steps = self._block_length(trainer, pl_module)
        elif done < 0 or done % self.steps:
            return
        else:
            self.platform_s.append(_now(pl_module) - self._since)
            self.bare_s.append(self._bare_block(trainer, pl_module, self.steps))
            trainer.should_stop = len(self.bare_s) == ROUNDS
        self._since = _now(pl_module)

    def _block_length(self, trainer: Trainer, pl_module: LightningModule) -> int:
        """Steps a block, so that all blocks of both loops fit the budget; warms the bare loop up."""
        step_s = min(self._bare_block(trainer, pl_module, 1) for _ in range(2))
        return max(1, min(MAX_STEPS, int(self.budget_s / step_s / ROUNDS / 2)))

    def _bare_block(self, trainer: Trainer, pl_module: LightningModule, steps: int) -> float:
        optimizer = trainer.optimizers[0]
        after_step = getattr(pl_module, "after_optimizer_step", None)
        batches = list(islice(cycle(self.batches), steps))
        with _silenced(pl_module):
            begin = _now(pl_module)
            for index, batch in enumerate(batches):
                batch = trainer.strategy.batch_to_device(batch)
                if not pl_module.automatic_optimization:
                    pl_module.training_step(batch, index)
                    continue
                optimizer.zero_grad()
                with trainer.precision_plugin.train_step_context():
                    loss: Any = pl_module.training_step(batch, index)
                loss.backward()
                optimizer.step()
                if after_step is not None:
                    after_step()
            return _now(pl_module) - begin


class _silenced:  # noqa: N801
    """Takes logging out of a training step, which a bare loop would not have."""

    def __init__(self, module: LightningModule) -> None:
        self.module = module

    def __enter__(self) -> None:
        for name in ("log", "log_dict"):
            object.__setattr__(self.module, name, lambda *_, **__: None)

    def __exit__(self, *_: object) -> None:
        for name in ("log", "log_dict"):
            object.__delattr__(self.module, name)


class DataWait(Callback):
    """Measures the time between the end of one step and the start of the next: fetching and moving data."""

    def __init__(self) -> None:
        self.waited_s = 0.0
        self.clips = 0
        self._begin = self._step_end = 0.0

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Ends a wait; the first step starts the clock."""
        now = _now(pl_module)
        if batch_idx == 0:
            self._begin = now
        else:
            self.waited_s += now - self._step_end

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Starts a wait."""
        self._step_end = _now(pl_module)

    @property
    def share(self) -> float:
        """Part of the time since the first step that was spent waiting, in [0, 1]."""
        return self.waited_s / max(self._step_end - self._begin, 1e-9)


def _now(module: LightningModule) -> float:
    if module.device.type == "cuda":
        torch.cuda.synchronize(module.device)
    return time.perf_counter()


def measure(platform: Platform, budget_s: float) -> dict[str, Any]:
    """Returns the figures; see the module's docstring. The model is trained a little by it."""
    model, data, trainer = platform.model, platform.datamodule, platform.trainer
    data.prepare_data()
    data.setup("fit")
    loader_s, batches = _time_loader(data.train_dataloader(), budget_s / 10)
    turns = TakeTurns(batches, budget_s)
    trainer.callbacks.insert(0, turns)  # pyright: ignore[reportAttributeAccessIssue]
    endless = list(islice(cycle(batches), WARMUP_STEPS + ROUNDS * MAX_STEPS + 1))
    data.train_dataloader = lambda: DataLoader(endless, batch_size=None)  # pyright: ignore
    trainer.fit(model, data)
    batch_size = len(batches[0].key)
    ratios = [ours / bare for ours, bare in zip(turns.platform_s, turns.bare_s, strict=True)]
    return {
        "device": torch.cuda.get_device_name()
        if model.device.type == "cuda"
        else f"cpu, {torch.get_num_threads()} threads",
        "batch": list(batches[0].waveform.shape),
        "precision": str(trainer.precision),
        "steps_per_block": turns.steps,
        "platform_steps_per_s": turns.steps / statistics.median(turns.platform_s),
        "bare_steps_per_s": turns.steps / statistics.median(turns.bare_s),
        "platform_over_bare": statistics.median(ratios),
        "platform_over_bare_rounds": ratios,
        "bare_spread": max(turns.bare_s) / min(turns.bare_s),
        "loader_clips_per_s": batch_size * len(batches) / loader_s,
        **_frontend_figures(model, batches[0]),
    }


def _frontend_figures(model: Any, batch: Any) -> dict[str, float]:
    """Clips per second of the front end: a batch on the training device, and torchaudio clip by clip on the CPU."""
    frontend = getattr(model, "frontend", None)
    if frontend is None or isinstance(frontend, nn.Identity):
        return {}
    on_cpu, waveform = copy.deepcopy(frontend).cpu(), batch.waveform.to(model.device)
    batched_s, single_s = [], []
    with torch.no_grad():
        for _ in range(ROUNDS + 1):
            begin = _now(model)
            frontend(waveform)
            batched_s.append(_now(model) - begin)
            begin = time.perf_counter()
            for clip in batch.waveform.split(1):
                on_cpu(clip)
            single_s.append(time.perf_counter() - begin)
    ratios = [single / batched for single, batched in zip(single_s[1:], batched_s[1:], strict=True)]
    return {
        "frontend_clips_per_s": len(waveform) / statistics.median(batched_s[1:]),
        "frontend_batched_over_per_clip": statistics.median(ratios),
    }


def measure_data_wait(platform: Platform) -> float:
    """Returns the share of the training time spent waiting for data, with the real loader."""
    wait = DataWait()
    platform.trainer.callbacks.insert(0, wait)  # pyright: ignore[reportAttributeAccessIssue]
    platform.trainer.fit(platform.model, platform.datamodule)
    return wait.share


def _time_loader(loader: DataLoader, budget_s: float) -> tuple[float, list[Any]]:
    """Reads batches for ``budget_s``, at most an epoch; the first, which starts the workers, is not timed."""
    batches, begin = [], None
    for batch in loader:
        if begin is None:
            begin = time.perf_counter()
            first = batch
            continue
        batches.append(batch)
        if time.perf_counter() - begin > budget_s:
            break
    if begin is None:
        raise ValueError("the training split yields no batch")
    elapsed = time.perf_counter() - begin
    return (elapsed, batches) if batches else (float("nan"), [first])


def main() -> None:
    """Runs the command."""
    own = argparse.ArgumentParser(
        prog="python -m lightning_modules.benchmark", description=__doc__, add_help=False
    )
    own.add_argument("--json", type=Path, help="Also write the figures to this file.")
    own.add_argument(
        "--budget_s", type=float, default=120.0, help="Seconds for the steps of both loops together."
    )
    of_cost = own.add_argument_group("cost of the network")
    of_cost.add_argument("--cost", action="store_true", help="Measure the network alone; needs no data.")
    of_cost.add_argument(
        "--cost_seconds", type=float, nargs="+", default=[], help="Lengths of clips in seconds."
    )
    of_cost.add_argument(
        "--cost_frames", type=int, nargs="+", default=[], help="Lengths of the network's input."
    )
    of_cost.add_argument("--cost_clips", type=int, default=2, help="Clips a batch.")
    of_cost.add_argument("--markdown", type=Path, help="Also write the table to this file.")
    options, arguments = own.parse_known_args()
    if options.cost:
        _measure_cost(options, arguments)
    else:
        _measure_training(options, arguments)


def _measure_cost(options: argparse.Namespace, arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        arguments += [f"--run.root={folder}", "--tracking.wandb=disabled"]
        platform = cli.build("benchmark", __doc__ or "", arguments)
        figures = cost.cost_report(
            platform, seconds=options.cost_seconds, frames=options.cost_frames, num_clips=options.cost_clips
        )
    cost.show(figures)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    if options.markdown is not None:
        options.markdown.write_text(cost.markdown(figures))


def _measure_training(options: argparse.Namespace, arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        arguments += [f"--run.root={folder}", "--run.id=benchmark", "--trainer.enable_progress_bar=false"]
        arguments += ["--trainer.limit_val_batches=0", "--trainer.enable_model_summary=false"]
        figures = measure(
            cli.build(
                "benchmark", __doc__ or "", [*arguments, "--trainer.max_epochs=1", "--tracking.wandb=offline"]
            ),
            options.budget_s,
        )
        steps = max(3, figures["steps_per_block"])
        arguments += [f"--trainer.max_steps={steps}", "--run.id=wait", "--tracking.wandb=disabled"]
        waiting = cli.build("benchmark", __doc__ or "", arguments)
        figures["data_wait_share"] = measure_data_wait(waiting)
    _show(figures)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def _show(figures: dict[str, Any]) -> None:
    table = Table("figure", "value", title="Training on this machine")
    for name, value in figures.items():
        if isinstance(value, list):
            value = " ".join(f"{each:.4g}" for each in value)
        table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    Console().print(table)


if __name__ == "__main__":
    cli.main(main)
