"""All that a run does, on a few clips, in a folder that is gone afterwards; and a table of what they passed through."""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import ModelCheckpoint
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_modules.callbacks.embedding_map import EmbeddingMap
from lightning_modules.run.checkpoints import load_weights

if TYPE_CHECKING:
    from lightning_modules.config.cli import Platform

BATCH_SIZE = 2
_MIN_CLIPS = 4  # of a map of embeddings


@contextlib.contextmanager
def dry_run(platform: "Platform") -> Iterator[None]:
    """Lets what a command does within take seconds and leave nothing; prints the model's parts at its end.

    Datasets are cut to a few rows of each class and batches to two clips; checkpoints, score files, tables and figures
    go into a temporary folder; figures that say nothing about so few clips are not shown.
    """
    datamodule = platform.datamodule
    datamodule.batch_size = min(datamodule.batch_size, BATCH_SIZE)
    datamodule.eval_batch_size = min(datamodule.eval_batch_size, BATCH_SIZE)
    datamodule.num_workers = 0
    batches = datamodule.keep_few()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        datamodule.make_small(Path(folder))
        _move(platform, folder)
        for loop in ("limit_val_batches", "limit_test_batches"):
            setattr(platform.trainer, loop, min(getattr(platform.trainer, loop) * batches, batches))
        shapes: dict[str, tuple[str, str]] = {}
        hooks = [part.register_forward_hook(_record(shapes, name)) for name, part in _parts(platform.model)]
        with _silence(folder):
            yield
        for hook in hooks:
            hook.remove()
    Console(width=max(Console().width, 130)).print(_table(platform.model, shapes))
    print(
        f"check passed: {BATCH_SIZE} clips through training, a few through validation, test, figures and files"
    )


def _move(platform: "Platform", folder: str) -> None:
    """Lets the run write into a folder, and begin at its start; a checkpoint that was named has to fit."""
    if platform.ckpt_path is not None:
        load_weights(platform.model, platform.ckpt_path, training_only=platform.model.training_only)
        platform.ckpt_path = None
    platform.run_folder = replace(platform.run_folder, root=folder)
    callbacks: Any = platform.trainer.callbacks  # pyright: ignore[reportAttributeAccessIssue]
    for each in callbacks:
        if isinstance(each, ModelCheckpoint):
            each.dirpath = str(platform.run_folder.checkpoints)
        if isinstance(each, EmbeddingMap):
            each.min_clips = _MIN_CLIPS


@contextlib.contextmanager
def _silence(folder: str) -> Iterator[None]:
    """Drops what is printed, and remarks on the folder."""
    log = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    remark = lambda record: folder not in record.getMessage()  # noqa: E731
    log.addFilter(remark)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        log.removeFilter(remark)


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
