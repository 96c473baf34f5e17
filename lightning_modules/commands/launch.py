"""The first lines of a training process: what must happen before torch is imported."""

import gc
import multiprocessing
import sys
from collections.abc import Callable

from lightning_modules.processes.started import processes
from lightning_modules.processes.stop_signals import STOP


def launch(command: Callable[[], None]) -> None:
    """Runs a command whose process may be asked to stop; its errors are `cli.one_line_errors`."""
    STOP.watch()
    try:
        processes()
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None
    gc.disable()  # what is imported stays: looking through it again and again takes a sixth of the start
    from lightning_modules.config import cli  # seconds: a signal that comes meanwhile is not lost

    gc.freeze()  # nor does training look through it
    gc.enable()
    try:
        cli.one_line_errors(command)
    finally:
        for worker in multiprocessing.active_children():  # deaf to the signal that ends them at exit
            worker.kill()
