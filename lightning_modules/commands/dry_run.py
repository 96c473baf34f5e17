"""One small batch through training, validation and scoring, and a table of what it passed through."""

import tempfile
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torchmetrics import Metric

from datamodules.loading.resumable import ResumableDataModule

BATCH_SIZE = 2


def dry_run(model: LightningModule, datamodule: ResumableDataModule, trainer: Trainer) -> None:
    """Trains, validates and tests on one batch of two clips and prints the parts; writes nothing.

    Args:
        model: As built from the configuration.
        datamodule: Its batch sizes are cut, so that the check takes seconds.
        trainer: Limited to one batch, without loggers and checkpoints.
    """
    datamodule.batch_size = min(datamodule.batch_size, BATCH_SIZE)
    datamodule.eval_batch_size = min(datamodule.eval_batch_size, BATCH_SIZE)
    datamodule.num_workers = 0
    with tempfile.TemporaryDirectory() as folder:
        datamodule.make_small(Path(folder))
        _pass_one_batch(model, datamodule, trainer)


def _pass_one_batch(model: LightningModule, datamodule: ResumableDataModule, trainer: Trainer) -> None:
    shapes: dict[str, tuple[str, str]] = {}
    hooks = [part.register_forward_hook(_record(shapes, name)) for name, part in _parts(model)]
    trainer.fit(model, datamodule)
    trainer.test(model, datamodule, verbose=False)
    for hook in hooks:
        hook.remove()
    Console(width=max(Console().width, 130)).print(_table(model, shapes))
    loss = trainer.callback_metrics.get("train/loss")
    print(f"check passed: one batch of {BATCH_SIZE} through training, validation and scoring")
    assert loss is None or torch.isfinite(loss)


def _parts(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The model's parts, and the parts of its network."""
    parts: list[tuple[str, nn.Module]] = []
    for name, part in model.named_children():
        if not isinstance(part, nn.Identity | Metric):
            parts.append((name, part))
        if name == "network":
            parts.extend((f"{name}.{inner}", module) for inner, module in part.named_children())
    return parts


def _record(shapes: dict[str, tuple[str, str]], name: str) -> Any:
    def hook(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        shapes.setdefault(name, (_shape(inputs), _shape(output)))

    return hook


def _shape(value: Any) -> str:
    if isinstance(value, Tensor):
        return "×".join(str(size) for size in value.shape) or "scalar"
    if isinstance(value, tuple | list):
        return ", ".join(filter(None, map(_shape, value)))
    return ""


def _table(model: nn.Module, shapes: dict[str, tuple[str, str]]) -> Table:
    table = Table(title=type(model).__name__)
    for column in ("part", "class", "input", "output"):
        table.add_column(column)
    for column in ("parameters", "trainable", "MB"):
        table.add_column(column, justify="right")
    for name, part in [*_parts(model), ("total", model)]:
        size = sum(t.numel() * t.element_size() for t in [*part.parameters(), *part.buffers()]) / 1e6
        count = sum(p.numel() for p in part.parameters())
        trainable = sum(p.numel() for p in part.parameters() if p.requires_grad)
        if name in shapes or count or name == "total":
            row = (name, type(part).__name__, *shapes.get(name, ("", "")))
            table.add_row(*row, f"{count:,}", f"{trainable:,}", f"{size:.2f}")
    return table
