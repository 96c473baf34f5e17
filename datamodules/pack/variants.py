"""Degraded variants of the training clips of a packed data set, see `datamodules.degradation.variants`."""

import hashlib
import json
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from datamodules.audio.packed import SHARDS, Pack
from datamodules.base import ClipDataModule
from datamodules.clips import Clip, ClipDataset, Item
from datamodules.degradation.variants import FOLDER, SETTINGS, variant_rows
from datamodules.files import write_text_atomically
from datamodules.loading.loader import Loader, worker_settings
from datamodules.pack.writer import ShardFile, locked, packed_before, write_index


def pack_variants(
    data: ClipDataModule, into: Path, count: int, *, shard_bytes: int = 1 << 30, progress: bool = False
) -> None:
    """Store variants of each file of training clips, degraded as a whole by `data.degrade` in loader workers.

    They have 16 bits and the rate that the method hears. What an earlier run stored stays.

    Args:
        data: The data set, not the packed one, with what `degrade` does.
        into: Its packed root.
        count: Variants of a file.
        shard_bytes: Size at which a shard is closed.
        progress: Show a bar.

    Raises:
        ValueError: If a clip lies outside of the root, or the variants there were made otherwise.
    """
    assert data.degrade is not None
    settings = data.variant_settings
    path = into / FOLDER / SETTINGS
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if before["settings"] != settings:
            raise ValueError(
                f"{path}: of other settings than these {json.dumps(settings)}: delete {path.parent}"
            )
        count = max(count, before["count"])
    data.setup("fit")
    decoded = Pack(into)  # of files that are not, the pack told
    paths = dict.fromkeys(variant_rows(data.rows["train"], data.root, into).paths)
    names = [
        name for name in (Path(each).relative_to(into).as_posix() for each in paths) if decoded.find(name)
    ]
    text = json.dumps({"count": count, "settings": settings}, indent=2) + "\n"
    write_text_atomically(path, text)
    for number in range(count):
        _pack_variant(data, into, names, number, shard_bytes=shard_bytes, progress=progress)


def _pack_variant(
    data: ClipDataModule, into: Path, names: list[str], number: int, *, shard_bytes: int, progress: bool
) -> None:
    folder = into / FOLDER / str(number) / SHARDS
    with locked(folder):
        known, numbers = packed_before(folder)
        waiting = [name for name in names if name not in known]
        clips = ClipDataset(
            [Clip(name, str(into / name)) for name in waiting],
            **data.decoding,
            mono=data.mono,
            channel=data.channel,
            degrade=data.degrade,
        )
        draws = [_draw(data.seed, number, name) for name in waiting]
        loader = Loader(
            clips,
            batch_sampler=[[request] for request in enumerate(draws)],
            collate_fn=_samples,
            **worker_settings(data.num_workers, persistent=False),
        )
        console = Console(stderr=True)
        items = iter(
            track(
                zip(waiting, loader, strict=True),
                f"variant {number + 1}",
                len(waiting),
                console=console,
                disable=not progress,
            )
        )
        for first in items:
            with ShardFile(folder, next(numbers), allow_truncated=data.allow_truncated) as shard:
                shard.add_samples(*first, data.sample_rate)
                while shard.size < shard_bytes and (item := next(items, None)):
                    shard.add_samples(*item, data.sample_rate)
        write_index(folder)


def _draw(seed: int, number: int, name: str) -> int:
    """64 bits that decide one variant of one file."""
    text = f"{seed}\n{number}\n{name}"
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8])


def _samples(items: list[Item]) -> np.ndarray:
    """int16 (time, channel) of the only item."""
    (item,) = items
    return np.clip(np.rint(item.waveform.numpy().T * 32768), -32768, 32767).astype(np.int16, order="C")
