"""The first lines of a training process: what must happen before torch is imported."""

import multiprocessing
from collections.abc import Callable

from lightning_modules.stop_signals import STOP


def main(command: Callable[[], None]) -> None:
    """Runs a command whose process may be asked to stop; see `cli.main` for its errors."""
    STOP.watch()
    from lightning_modules import cli  # seconds: a signal that comes meanwhile is not lost

    try:
        cli.main(command)
    finally:
        for worker in multiprocessing.active_children():  # deaf to the signal that ends them at exit
            worker.kill()
