"""Signals that ask a run to stop: taken from the first line on, and kept from the processes that it starts."""

import os
import signal
import sys
import threading
from collections.abc import Collection
from functools import partial
from multiprocessing import resource_tracker

PREEMPTED = 75  # EX_TEMPFAIL: the same command continues the run


class StopSignals:
    """Waits for a signal in a thread, so that no handler interrupts a step, a save or a collective.

    SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 are blocked in all other threads and in every process that is started
    later. Schedulers and terminals signal whole groups of processes: loader workers must outlive the last step,
    and other libraries' handlers must not act. Windows cannot block signals, and takes Ctrl-C by a handler.

    Attributes:
        reason: Name of the signal that asked for the stop, None before.
        awaited: Whether a training loop looks at ``reason`` and will leave with a checkpoint. Until then there
            is nothing to save, and a signal ends the process at once.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.awaited = False
        self._interrupts = 0

    def watch(self) -> None:
        """Begins; to be called from the main thread, before any other thread exists."""
        try:
            signals = signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2
            block = partial(signal.pthread_sigmask, signal.SIG_BLOCK, signals)
        except AttributeError:  # Windows
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda number, _: self._take(number))
            return
        block()
        resource_tracker.ensure_running()  # unblocks two of them as it starts, which it does but once
        block()
        threading.Thread(target=self._wait, args=(signals,), name="stop signals", daemon=True).start()

    def _wait(self, signals: Collection[signal.Signals]) -> None:
        while True:
            self._take(signal.sigwait(signals))

    def _take(self, number: int) -> None:
        self._interrupts += number == signal.SIGINT
        if self._interrupts > 1:
            leave("interrupted twice: no checkpoint", 128 + signal.SIGINT)
        self.ask(signal.Signals(number).name)

    def ask(self, reason: str) -> None:
        """Asks the training loop to stop, or stops the process where none is running."""
        self.reason = self.reason or reason
        if not self.awaited:
            leave(f"{reason}: stopped outside of training, the same command continues the run", PREEMPTED)


def leave(message: str, code: int) -> None:
    """Ends this process from any thread, even while the main thread waits in a collective."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()
    os._exit(code)


STOP = StopSignals()
