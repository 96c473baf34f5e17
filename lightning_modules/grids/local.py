"""Runs cells on this machine, each in a fresh process that is forked with the libraries already imported."""

import atexit
import contextlib
import multiprocessing
import os
import runpy
import shlex
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from filelock import lock_descriptor

from datamodules.cpus import allowed_cpus
from lightning_modules.grids.cells import Cell

PRELOAD = ["lightning_modules.commands.workflow"]  # seconds of imports, paid once
_TAKEN = 69  # EX_UNAVAILABLE: exit code where another grid took the cell while this one started its process
GRACE_S = 60.0  # from the request to stop to the kill: a step and a checkpoint


def fit(arguments: Sequence[str]) -> None:
    """What ``python -m lightning_modules.fit`` does, without another start of Python."""
    sys.argv[1:] = arguments
    # what DDP starts ranks from
    runpy.run_module("lightning_modules.fit", run_name="__main__", alter_sys=True)


@dataclass(kw_only=True)
class Outcome:
    """What became of the cells.

    Attributes:
        done: Ids of cells that were run to their end.
        skipped: Ids of cells that were finished, or are being run by another process.
        failed: Id -> why.
        interrupted: Whether the user stopped it.
    """

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False


@dataclass(kw_only=True)
class _Started:
    cell: Cell
    process: BaseProcess
    slot: int
    since: float


class LocalRunner:
    """Runs cells, ``jobs`` at once, each with its output in ``log.txt`` of its run's folder.

    A cell that fails stops no other. Ctrl-C and SIGTERM stop all cells, and so does the end of this process by
    whatever cause; the next start continues them.

    Args:
        jobs: How many at once; they share the CPU's threads evenly and take turns on the GPUs.
        overrides: Arguments of ``fit`` for all cells.
        command: What a process does with a cell's arguments.

    Raises:
        ValueError: This system has no fork servers.
    """

    def __init__(
        self,
        *,
        jobs: int = 1,
        overrides: Sequence[str] = (),
        command: Callable[[Sequence[str]], None] = fit,
    ) -> None:
        self.jobs = jobs
        self.overrides = overrides
        self.command = command
        self.outcome = Outcome()
        self._running: dict[int, _Started] = {}  # by the sentinel of the process
        self._total = 0
        if "forkserver" not in multiprocessing.get_all_start_methods():
            raise ValueError(
                "this system cannot fork runs: start them one by one with --index 0, --index 1, ..."
            )
        self._context = multiprocessing.get_context("forkserver")

    def run(self, cells: Sequence[Cell]) -> Outcome:
        """Runs those cells that are not finished."""
        self._total = len(cells)
        if self.jobs > 1:  # before the fork server imports what reads it
            os.environ.setdefault("OMP_NUM_THREADS", str(max(1, allowed_cpus() // self.jobs)))
        self._context.set_forkserver_preload(PRELOAD)
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        waiting = deque(cells)
        try:
            while waiting or self._running:
                if waiting and len(self._running) < self.jobs:
                    self._start(waiting.popleft())
                    continue
                for sentinel in connection.wait(list(self._running)):
                    self._end(self._running.pop(sentinel))  # pyright: ignore[reportArgumentType]
        except KeyboardInterrupt:
            self.outcome.interrupted = True
        finally:
            self._stop()
            signal.signal(signal.SIGTERM, before)
        return self.outcome

    def _start(self, cell: Cell) -> None:
        path = cell.run.folder / "log.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        arguments = cell.arguments(self.overrides)
        if cell.state == "finished" or _is_locked(path):
            self.outcome.skipped.append(str(cell.run.id))
            if cell.state != "finished":
                self._say("skipped", cell, "another process runs it")
            return
        with path.open("a", encoding="utf-8") as log:
            log.write(f"\n{time.strftime('%F %T')} python -m lightning_modules.fit {shlex.join(arguments)}\n")
        slot = min(set(range(self.jobs)) - {each.slot for each in self._running.values()})
        process = self._context.Process(
            target=_run, args=(self.command, arguments, path, gpu_of(slot) if self.jobs > 1 else None)
        )
        self._say("started", cell, cell.state)
        process.start()
        started = _Started(cell=cell, process=process, slot=slot, since=time.monotonic())
        self._running[process.sentinel] = started

    def _end(self, started: _Started) -> None:
        cell, process = started.cell, started.process
        process.join()
        _signal_group(process, signal.SIGKILL)  # loader workers and ranks that it left behind
        id = str(cell.run.id)  # noqa: A001
        if process.exitcode == 0 and cell.state == "finished":
            self.outcome.done.append(id)
            self._say("done", cell, f"{time.monotonic() - started.since:.0f} s")
        elif process.exitcode == _TAKEN:
            self.outcome.skipped.append(id)
            self._say("skipped", cell, "another process runs it")
        else:
            self.outcome.failed[id] = _reason(process.exitcode, cell.run.folder / "log.txt")
            self._say("FAILED", cell, self.outcome.failed[id])

    def _stop(self) -> None:
        for started in self._running.values():
            started.process.terminate()
        deadline = time.monotonic() + GRACE_S
        for started in self._running.values():
            started.process.join(max(0.0, deadline - time.monotonic()))
            _signal_group(started.process, signal.SIGKILL)
            started.process.join()
            self._say("stopped", started.cell, "the same command continues it")
        self._running.clear()

    def _say(self, what: str, cell: Cell, detail: str) -> None:
        outcome = self.outcome
        ended = len(outcome.done) + len(outcome.skipped) + len(outcome.failed)
        print(f"[{ended}/{self._total}] {what:8}{cell.run.id}: {detail}", flush=True)


def gpu_of(slot: int) -> str | None:
    """Returns the GPU for the job in a slot, as CUDA_VISIBLE_DEVICES names it; None without GPUs."""
    count = len(list(Path("/dev").glob("nvidia[0-9]*")))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(count))))
    gpus = [each for each in visible.split(",") if each]
    return gpus[slot % len(gpus)] if gpus else None


def _run(
    command: Callable[[Sequence[str]], None], arguments: Sequence[str], log: Path, gpu: str | None
) -> None:
    """The process of one cell; a group of its own, so that Ctrl-C reaches it once, in order."""
    os.setsid()
    with log.open("ab") as file:
        # held by the output, so as long as any process of the run lives
        if not lock_descriptor(file.fileno(), blocking=False):
            raise SystemExit(_TAKEN)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # pyright: ignore[reportAttributeAccessIssue]
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        command(arguments)
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out; W&B closes its run in one


def _is_locked(path: Path) -> bool:
    with path.open("ab") as file:
        return not lock_descriptor(file.fileno(), blocking=False)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _signal_group(process: BaseProcess, number: signal.Signals) -> None:
    assert process.pid is not None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _reason(code: int | None, log: Path) -> str:
    lines = [
        line.strip()
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip()
    ]
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}; the log ends: {lines[-1]}"
    return lines[-1] if code else f"ended without a test result; the log ends: {lines[-1]}"
