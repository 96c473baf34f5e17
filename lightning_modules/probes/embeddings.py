"""Embeddings of a split's clips, computed once and kept in the cache for all probes."""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from datamodules.audio import packed
from datamodules.base import ClipDataModule
from datamodules.cache import cache_entry, content_hash
from datamodules.clips import Batch
from datamodules.files import write_bytes_atomically
from datamodules.hearing import Listening
from lightning_modules.base import EvaluatedModule
from lightning_modules.baselines.statistics import Described
from lightning_modules.metrics.row_table import MeanTable
from lightning_modules.networks.encoders.encoder import Encoder
from lightning_modules.probes.embedder import Embedder

_VERSION = 1  # of what is kept; another one is computed anew
_UNHEARD = ("trainable", "layers")  # settings of an encoder that say nothing of its hidden states

Split = Literal["train", "validation", "test"]


def embeddings(
    method: EvaluatedModule,
    embedder: Embedder,
    embed: Callable[[Batch], Tensor],
    datamodule: ClipDataModule,
    split: Split,
    settings: Mapping[str, Any],
) -> Described:
    """Embeds the clips of a split as evaluation hears them, each once, unless the cache has them.

    Args:
        method: Whose front end makes the embedder's input.
        embedder: Of the method's network.
        embed: A batch on the method's device -> (clip, layer, dim), by both.
        datamodule: Whose rows have been read.
        split: Which; of machines' training the normal clips.
        settings: Arguments of the method in the configuration.

    Returns:
        Rows and float32 (clip, layer, dim).
    """
    rows = datamodule.rows[split]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    entry = cache_entry(
        "embeddings",
        _VERSION,
        torch.__version__,
        device.type,
        fingerprint(method.frontend, embedder),
        _heard(embedder, settings),
        [embedder.layers, embedder.pooling],
        [asdict(Listening.of(datamodule)), type(datamodule).__name__, split == "train"],
        *_condition(datamodule, split),
        _contents(rows),
        suffix=".safetensors",
    )
    found = _kept(entry)
    if found is None:
        found = _computed(method.to(device).eval(), embedder.to(device), embed, datamodule, split)
        with suppress(OSError):  # where nothing can be kept, it is computed each time
            write_bytes_atomically(entry, save({"index": found[0], "embedding": found[1]}))
    index, values = found
    return Described([rows[row] for row in index.tolist()], values)


@torch.inference_mode()
def _computed(
    method: EvaluatedModule,
    embedder: Embedder,
    embed: Callable[[Batch], Tensor],
    datamodule: ClipDataModule,
    split: Split,
) -> tuple[Tensor, Tensor]:
    """Rows, int64 (clip,), and float32 (clip, layer, dim)."""
    loaders = {
        "train": datamodule.reference_dataloader,
        "validation": datamodule.val_dataloader,
        "test": datamodule.test_dataloader,
    }
    table = MeanTable()
    for batch in loaders[split]():
        on_device = method.transfer_batch_to_device(batch, next(embedder.parameters()).device, 0)
        table.update(embed(on_device).cpu(), batch.index)
    return table.gathered()


def fingerprint(*modules: nn.Module | None) -> str:
    """SHA-256 of what modules hold: names, types, shapes and bytes of their tensors."""
    digest = hashlib.sha256()
    for module in modules:
        for name, tensor in (module.state_dict() if module is not None else {}).items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _heard(embedder: Embedder, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that embeddings depend on beside weights: of an encoder's network its encoder's alone."""
    network = settings["network"]
    arguments = network.get("init_args", {})
    if isinstance(embedder.part, Encoder):
        network = arguments["encoder"]
        arguments = network.get("init_args", {})
    kept = {name: value for name, value in arguments.items() if name not in _UNHEARD}
    windows = {name: settings.get(name) for name in ("window", "hop")}
    return {"network": [network["class_path"], kept], "frontend": settings.get("frontend"), **windows}


def _condition(datamodule: ClipDataModule, split: Split) -> list[dict[str, Any]]:
    """Settings of what degrades the clips of a split; empty for clean ones."""
    chain = None if split == "train" else datamodule.condition
    return [] if chain is None else [chain.settings]


def _contents(rows: Any) -> list[list[Any]]:
    """Of every clip: what its file holds, where it begins and ends."""
    digests = {path: _digest(path) for path in dict.fromkeys(rows.paths)}
    return [[digests[row.path], row.start_s, row.stop_s] for row in rows]


def _digest(path: str) -> str:
    clip = packed.find(path)
    return content_hash(path) if clip is None else f"{clip.checksum} of {clip.num_samples} samples"


def _kept(entry: Path) -> tuple[Tensor, Tensor] | None:
    try:
        found = load(entry.read_bytes())
        return found["index"], found["embedding"]
    except (OSError, SafetensorError, KeyError):
        return None
