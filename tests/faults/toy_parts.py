"""Parts of runs, for the rows of README.md, "Public reports"; see toy.sh."""

import os
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import nn


class Kill(Callback):
    """Ends a training once, at a hook from a step on; a file `killed` tells that it has been."""

    def __init__(self, hook: str, step: int, signal: int = 9) -> None:
        self._step, self._signal, self._mark = step, signal, Path("killed")
        setattr(self, hook, self._maybe)

    def _maybe(self, trainer: Any, *_: object, **__: object) -> None:
        if trainer.state.fn == "fit" and trainer.global_step >= self._step and not self._mark.exists():
            self._mark.touch()
            os.kill(os.getpid(), self._signal)
            time.sleep(0.3)


class WandbDies(Callback):
    """Kills the process that W&B logs by."""

    def on_train_batch_start(self, trainer: Any, *_: object) -> None:
        import psutil

        if trainer.global_step == 5:
            for child in psutil.Process().children(recursive=True):
                if "wandb" in child.name():
                    child.kill()


class KeepEnd(Callback):
    """Saves the weights as they are when training has ended."""

    def on_fit_end(self, trainer: Any, pl_module: nn.Module) -> None:
        torch.save({"state_dict": pl_module.state_dict()}, "end.ckpt")


class RankBuffers(Callback):
    """Says on each rank what a validation computes with."""

    def on_validation_batch_start(self, trainer: Any, pl_module: nn.Module, *_: object) -> None:
        total = sum(float(buffer.double().sum()) for buffer in pl_module.buffers())
        with Path(f"buffers{trainer.global_rank}").open("a") as file:
            file.write(f"{total!r}\n")


class CutRewrite(Callback):
    """Kills the process while metrics.csv gets the columns of the test, just as it is opened to be written."""

    def on_test_start(self, *_: object) -> None:
        import builtins

        opened = builtins.open

        def kill(file: Any, mode: str = "r", *args: Any, **settings: Any) -> Any:
            found = opened(file, mode, *args, **settings)
            if "metrics.csv" in str(file) and "w" in mode:
                os.kill(os.getpid(), 9)
            return found

        builtins.open = kill
