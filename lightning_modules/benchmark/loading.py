"""How fast clips are read, from files and from a pack, and how long training waits for them."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader

from datamodules.audio.packed import SHARDS
from datamodules.base import ClipDataModule
from datamodules.pack.verify import compare_speed
from datamodules.pack.writer import audio_names, pack
from lightning_modules.benchmark.steps import now
from lightning_modules.benchmark.trace import Trace

if TYPE_CHECKING:
    from lightning_modules.config.cli import Platform

_PACKED_FILES = 100
_ROUNDS = 3


class DataWait(Callback):
    """Measures the time between the end of one step and the start of the next: fetching and moving data."""

    def __init__(self) -> None:
        self.waited_s = 0.0
        self._begin = self._step_end = 0.0

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Ends a wait; the first step starts the clock."""
        arrived = now(pl_module.device).wall
        if not self._begin:  # not at the first batch of every epoch
            self._begin = arrived
        else:
            self.waited_s += arrived - self._step_end

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Starts a wait."""
        self._step_end = now(pl_module.device).wall

    @property
    def share(self) -> float:
        """Part of the time since the first step that was spent waiting, in [0, 1]."""
        return self.waited_s / max(self._step_end - self._begin, 1e-9)


def read_batches(loader: DataLoader, budget_s: float) -> tuple[list[Any], float]:
    """Reads batches for ``budget_s``, at most an epoch; returns them and the clips a second.

    The first batch, which starts the workers, is neither timed nor returned where there is another.

    Raises:
        ValueError: There is none.
    """
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
        raise ValueError("the training split yields no batch: check data.root (python -m datamodules.check)")
    elapsed_s = time.perf_counter() - begin
    if not batches:
        return [first], float("nan")
    return batches, len(first[0]) * len(batches) / elapsed_s


def loader_figures(data: ClipDataModule, budget_s: float) -> dict[str, float]:
    """Clips a second of the training loader, and of degraded clips over clean ones, which take turns.

    Raises:
        ValueError: There is no training batch.
    """
    data.prepare_data()
    data.setup("fit")
    degrade = data.degrade
    speeds: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * _ROUNDS):
        is_clean = number % 2 == 0
        if is_clean or degrade is not None:
            data.degrade = None if is_clean else degrade
            speeds[is_clean].append(read_batches(data.train_dataloader(), budget_s / (2 * _ROUNDS))[1])
    data.degrade = degrade
    clean = max(speeds[True])  # what else the machine does only takes time
    figures = {"loader_clips_per_s": clean}
    if degrade is not None:
        figures |= {
            "degraded_clips_per_s": max(speeds[False]),
            "degraded_over_clean": max(speeds[False]) / clean,
        }
    return figures


def packed_over_files(root: Path, folder: Path) -> dict[str, float]:
    """Packs 100 files of a data set into ``folder``; returns by ending how much faster crops of 4 s are read then.

    Nothing is measured of a data set that is packed already or has no files of audio, or where signals are drawn.
    """
    names = audio_names(root) if root != Path() else []
    if not names or (root / SHARDS).exists():
        return {}
    sample, packed = folder / "files", folder / "packed"
    for name in names[:: -(-len(names) // _PACKED_FILES)]:
        link = sample / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to((root / name).resolve())
    pack(sample, packed)
    return {
        f"packed_over_{speed.suffix.removeprefix('.')}": speed.packed / speed.files
        for speed in compare_speed(sample, packed)
    }


def data_wait_share(platform: "Platform", trace: Path | None = None) -> float:
    """Trains with the real loader; returns the share of the time spent waiting for it.

    Args:
        platform: The built configuration.
        trace: Where `Trace` writes, if anywhere.
    """
    wait = DataWait()
    watching = [wait, *([Trace(trace)] if trace else [])]
    platform.trainer.callbacks[:0] = watching  # pyright: ignore[reportAttributeAccessIssue]
    platform.trainer.fit(platform.model, platform.datamodule)
    return wait.share
