"""How far a run is: a bar in a terminal, lines in a log."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar
from lightning.pytorch.trainer.states import TrainerFn
from rich import get_console

_EVERY_S = 300.0


def progress() -> ProgressBar:
    """What fits where standard output goes."""
    console = get_console()
    return LoggedProgressBar() if console.is_terminal or console.is_jupyter else ProgressLines()


class LoggedProgressBar(RichProgressBar):
    """Lightning's progress bar, without a wait for the GPU at every step.

    Shows the metrics of the steps that are logged; Lightning's reads them, from the GPU, at every step.
    """

    def _update_metrics(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.training or trainer._logger_connector.should_update_logs:
            super()._update_metrics(trainer, pl_module)


class ProgressLines(ProgressBar):
    """Prints a line an epoch, and one where five minutes passed without, from rank zero.

    A line of training has epoch, step, loss, learning rate, the figures of a validation since the line before, and the
    time left at the speed since the start, validations included. A prediction prints scores and has no lines.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._enabled = True
        self._printed_s = self._began_s = 0.0
        self._began_step = 0
        self._validated = False

    def disable(self) -> None:
        """Prints nothing, as on all ranks but zero."""
        self._enabled = False

    def enable(self) -> None:
        """Prints again."""
        self._enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock."""
        self._printed_s = self._began_s = self._clock()
        self._began_step = _steps(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Prints when it is time."""
        if self._is_due():
            self._print_training(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints in any case."""
        if self._enabled:
            self._print_training(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Outside of training starts the clock."""
        if trainer.state.fn != TrainerFn.FITTING:
            self._printed_s = self._clock()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock."""
        self._printed_s = self._clock()

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: int
    ) -> None:
        """Prints when it is time."""
        self._print_evaluation(trainer, "validation", batch_idx, trainer.num_val_batches)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: int
    ) -> None:
        """Prints when it is time."""
        self._print_evaluation(trainer, "test", batch_idx, trainer.num_test_batches)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lets the next line tell its figures."""
        self._validated = True

    def _is_due(self) -> bool:
        return self._enabled and self._clock() - self._printed_s >= _EVERY_S

    def _print(self, line: str) -> None:
        self._printed_s = self._clock()
        print(line, flush=True)

    def _print_training(self, trainer: Trainer) -> None:
        epochs = "" if trainer.max_epochs in (None, -1) else f"/{trainer.max_epochs}"
        step, steps = _steps(trainer), trainer.estimated_stepping_batches
        total = f"/{int(steps)}" if 0 < steps < math.inf else ""
        metrics = trainer.callback_metrics
        losses = [name for name in metrics if name.startswith("train/") and name.endswith("loss")]
        shown = ["train/loss"] if "train/loss" in losses else losses
        figures = {name: float(metrics[name]) for name in shown} | self._rate(trainer)
        if self._validated:
            figures |= {name: float(value) for name, value in metrics.items() if name.startswith("val/")}
            self._validated = False
        words = [f"{name} {value:.4g}" for name, value in figures.items()]
        done, left = step - self._began_step, steps - step
        if done and 0 <= left < math.inf:
            words.append(f"{duration((self._clock() - self._began_s) / done * left)} left")
        place = f"epoch {trainer.current_epoch + 1}{epochs}, step {step}{total}"
        self._print(f"{place}: {', '.join(words)}")

    def _print_evaluation(
        self, trainer: Trainer, name: str, batch_idx: int, num_batches: Sequence[int | float]
    ) -> None:
        if self._is_due():
            self._print(f"{name}: batch {batch_idx + 1}/{sum(num_batches)}")

    @staticmethod
    def _rate(trainer: Trainer) -> dict[str, float]:
        return {"rate": float(trainer.optimizers[0].param_groups[0]["lr"])} if trainer.optimizers else {}


def _steps(trainer: Trainer) -> int:
    """Batches that stepped so far, of which one may hold several steps."""
    return min(trainer.global_step, trainer.fit_loop.total_batch_idx + 1)


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(59.6), duration(4000), duration(200_000)
    ('1 min', '1 h 7 min', '2 d 7 h')
    """
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
