"""Rows as arrays are the rows that went in; two hundred thousand of them start at once and stay small."""

import re
import time
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import soundfile
from torch.utils.data import DataLoader

from datamodules.audio.packed import CLIP, Pack
from datamodules.clips.table import Clip, ClipTable
from datamodules.pack.writer import pack
from datamodules.ssd.asvspoof import ASVspoof
from datamodules.strings import Strings


def test_rows_come_back() -> None:
    clips = [Clip(str(i), f"/data/ü{i}", i, {"a": "x" * i}, i / 2, None if i % 2 else 9.0) for i in range(5)]
    table = ClipTable(clips)
    assert list(table) == clips
    assert table[1:4:2] == clips[1:4:2]
    assert table[-1] == clips[-1]
    with pytest.raises(IndexError):
        table[5]


def test_strings_are_a_sequence() -> None:
    values = ["", "a", "ü/日本", "\udcff", ""]  # the fourth is a file name that is no UTF-8
    assert list(Strings.of(values)) == values
    assert Strings.of(values)[-2] == "\udcff"
    assert list(Strings.of([])) == []


def _corpus(root: Path, num_clips: int) -> Path:
    """A packed corpus of which all clips are the same second of noise."""
    source, folder = root / "source", "ASVspoof2019_LA_dev/flac"
    (source / folder).mkdir(parents=True)
    soundfile.write(source / folder / "0.flac", np.random.default_rng(0).uniform(-0.5, 0.5, 16_000), 16_000)
    keys = [f"LA_D_{i:07d}" for i in range(num_clips)]
    protocols = source / "ASVspoof2019_LA_cm_protocols"
    protocols.mkdir()
    for part in ("dev.trl", "train.trn"):
        lines = (f"LA_{i % 80:04d} {key} - A{i % 6:02d} spoof\n" for i, key in enumerate(keys))
        (protocols / f"ASVspoof2019.LA.cm.{part}.txt").write_text("".join(lines))
    pack(source, root / "packed")
    shards = root / "packed" / "shards"
    names = Strings.of(f"{folder}/{key}.flac" for key in keys)
    rows = np.repeat(np.asarray(np.load(shards / "clips.npy"), CLIP), num_clips)
    rows["name_end"] = names.ends
    np.save(shards / "names.npy", names.content)
    np.save(shards / "clips.npy", rows)
    assert len(Pack(root / "packed").names) == num_clips
    return root / "packed"


def _start(root: Path, crop_s: float | None) -> tuple[DataLoader, float]:
    """The loader of the validation clips, and the CPU time until it is there; whole clips are sorted by length."""
    before = time.process_time()
    data = ASVspoof(root=str(root), num_workers=1, eval_batch_size=24, eval_crop_s=crop_s)
    data.setup("validate")
    loader = data.val_dataloader()
    assert isinstance(loader, DataLoader)
    return loader, time.process_time() - before


def _own_megabytes(loader: DataLoader) -> float:
    """Memory that a loader's worker shares with nobody, after 20 batches of random rows."""
    others = set(active_children())
    batches = iter(loader)
    for _ in range(20):
        next(batches)
    (worker,) = set(active_children()) - others
    memory = Path(f"/proc/{worker.pid}/smaps_rollup").read_text()
    return sum(int(size) for size in re.findall(r"Private_\w+: +(\d+) kB", memory)) / 1000


@pytest.mark.slow
@pytest.mark.parametrize("crop_s", [0.5, None])
def test_two_hundred_thousand_packed_clips(crop_s, tmp_path) -> None:
    own = []
    for num_clips in (1000, 200_000):
        root = _corpus(tmp_path / str(num_clips), num_clips)
        loaders, seconds = zip(*(_start(root, crop_s) for _ in range(3)), strict=True)
        own.append(_own_megabytes(loaders[-1]))
    print(
        f"start-up {min(seconds):.2f} s of CPU time; a worker has {own[1]:.0f} MB of its own, {own[0]:.0f} with 1000"
        " clips"
    )
    assert min(seconds) < 6  # a look at each header takes 20; what else the machine does only adds to it
    assert own[1] < own[0] + 300
    assert own[1] < 600
