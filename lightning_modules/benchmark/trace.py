"""What CPU and GPU do in a few training steps."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.profiler import profile


class Trace(Callback):
    """Writes a timeline of operations for chrome://tracing or ui.perfetto.dev.

    Args:
        path: File of the trace, compressed where its name ends in ``.gz``.
        steps: How many, after a first that is left out.
    """

    def __init__(self, path: Path, steps: int = 3) -> None:
        self._path, self._steps, self._seen = path, steps, 0
        self._profiler = profile(record_shapes=True, acc_events=True)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Begins after the first step and writes after the last."""
        if self._seen == 0:
            self._profiler.start()
        elif self._seen == self._steps:
            self._write()
        self._seen += 1

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes what there is of a shorter training: a profiler left running takes the process down at exit."""
        if 0 < self._seen <= self._steps:
            self._write()

    def _write(self) -> None:
        self._profiler.stop()
        self._profiler.export_chrome_trace(str(self._path))
