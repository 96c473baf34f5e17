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
        self._path, self._steps = path, steps
        self._profiler = profile(record_shapes=True, acc_events=True)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Begins after the first step and writes after the last."""
        if batch_idx == 0:
            self._profiler.start()
        elif batch_idx == self._steps:
            self._profiler.stop()
            self._profiler.export_chrome_trace(str(self._path))
