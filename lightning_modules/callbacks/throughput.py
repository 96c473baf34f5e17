"""How fast a run trains, what it waits for, and how much of the GPU it uses."""

import time
from contextlib import ExitStack, suppress
from typing import Any

import torch
from lightning.fabric.utilities.throughput import get_available_flops
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.flop_counter import FlopCounterMode

from lightning_modules.base import data_of
from lightning_modules.callbacks.loops import followed_by

_GIB = 1024**3
_COMPUTE_TYPES = {"bf16-mixed": torch.bfloat16, "bf16-true": torch.bfloat16, "16-mixed": torch.float16}


class Throughput(Callback):
    """Logs the speed between two logged steps, validation and checkpoints left out, and the state of the GPU.

    ``throughput/clips_per_s`` and ``throughput/audio_hours_per_hour`` count all ranks and the lengths that the
    network sees; ``throughput/data_wait`` is the share of the time that this process spent in fetching batches, an
    upper bound where a GPU is still busy meanwhile; ``throughput/mfu`` the share of the GPU's peak that the operations
    of a step need, as PyTorch's counter finds them in the first step (recurrent layers of cuDNN not counted).
    ``system/gpu_memory_gib`` is the highest so far, ``system/gpu_utilization`` in [0, 1]. Nothing waits for the GPU.
    """

    def __init__(self) -> None:
        self._clips = self._audio_s = self._busy_s = self._waited_s = 0.0
        self._steps = 0
        self._since: float | None = None
        self._fetching_since = 0.0
        self._counter: FlopCounterMode | None = None
        self._counting = ExitStack()
        self._peak_flops: int | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Has itself told when a batch is fetched; Lightning tells its profiler alone."""
        if stage == "fit":
            loop: Any = trainer.fit_loop.epoch_loop
            loop._on_before_fetch = followed_by(loop._on_before_fetch, self._fetch_begins)
            loop._on_after_fetch = followed_by(loop._on_after_fetch, self._fetch_ends)

    def _fetch_begins(self) -> None:
        self._fetching_since = time.perf_counter()
        if self._since is None:
            self._since = self._fetching_since

    def _fetch_ends(self) -> None:
        self._waited_s += time.perf_counter() - self._fetching_since

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Counts the operations of the first step on a GPU whose peak is known; compiled code hides them."""
        if self._counter is None and pl_module.device.type == "cuda":
            precision = _COMPUTE_TYPES.get(str(trainer.precision), torch.float32)
            self._peak_flops = get_available_flops(pl_module.device, precision)
            self._counter = FlopCounterMode(display=False)
            if self._peak_flops:
                self._counting.enter_context(torch.compiler.set_stance("force_eager"))
                self._counting.enter_context(self._counter)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stops the clock of this step, and logs where the loggers will listen."""
        self._counting.close()
        now = time.perf_counter()
        self._busy_s += now - (now if self._since is None else self._since)
        self._since = None  # until the next fetch: validation and checkpoints lie between
        self._steps += 1
        self._clips += len(batch[0])
        self._audio_s += data_of(trainer).seconds_of(batch)
        accumulating = trainer.fit_loop._should_accumulate()  # Lightning logs with the step alone
        if trainer._logger_connector.should_update_logs and not accumulating:
            pl_module.log_dict(
                self._figures(trainer.world_size) | gpu_figures(pl_module.device), batch_size=1
            )
            self._clips = self._audio_s = self._busy_s = self._waited_s = 0.0
            self._steps = 0

    def _figures(self, world_size: int) -> dict[str, float]:
        busy_s = max(self._busy_s, 1e-9)
        figures = {
            "clips_per_s": world_size * self._clips / busy_s,
            "data_wait": self._waited_s / busy_s,
        }
        if self._audio_s:
            figures["audio_hours_per_hour"] = world_size * self._audio_s / busy_s
        if self._peak_flops and self._counter is not None:
            flops = self._counter.get_total_flops() * self._steps
            figures["mfu"] = flops / busy_s / self._peak_flops
        return {f"throughput/{name}": value for name, value in figures.items()}


def gpu_figures(device: torch.device) -> dict[str, float]:
    """Returns memory in GiB, at its highest so far, and utilisation in [0, 1]; nothing for a CPU."""
    if device.type != "cuda":
        return {}
    import pynvml

    figures = {"system/gpu_memory_gib": torch.cuda.max_memory_allocated(device) / _GIB}
    with suppress(pynvml.NVMLError, RuntimeError):  # parts of a GPU (MIG) do not tell
        figures["system/gpu_utilization"] = torch.cuda.utilization(device) / 100
    return figures
