"""Ranks of one machine that end together, with the cause in one line."""

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from torch.distributed import DistError

from lightning_modules.processes.stop_signals import PREEMPTED, STOP, leave

_RANK_ZERO = "RANK_ZERO_PID"
_POLL_S = 0.5
_FAILED_GRACE_S = 5.0  # for rank zero to notice by itself that another rank failed
_ENDED_GRACE_S = 30.0  # for rank zero to finish what it does alone after the last collective
_BROKEN = ("gloo", "nccl", "connection closed", "connection reset", "broken pipe", "timed out")


class RankLostError(ConnectionError):
    """Another rank died, left or hangs, and this one cannot go on alone."""


def watch_ranks(trainer: Trainer) -> None:
    """Lets the ranks of ``trainer`` watch each other, where it has several."""
    strategy = trainer.strategy
    if isinstance(strategy.launcher, _SubprocessScriptLauncher):
        strategy._launcher = RankLauncher(strategy.launcher)


class RankLauncher(_SubprocessScriptLauncher):
    """Starts the other ranks of this machine, if srun or torchrun did not, and runs a function on all of them.

    Lightning's own kills all ranks as soon as one exits with an error, also with the 75 of a preemption, and
    leaves the others behind when rank zero dies.
    """

    def __init__(self, plain: _SubprocessScriptLauncher) -> None:
        super().__init__(plain.cluster_environment, plain.num_processes, plain.num_nodes)

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        """Runs ``function``; a rank that is lost meanwhile ends all of them.

        Raises:
            RankLostError: A collective failed; names the rank and how it ended where that is known.
        """
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            os.environ[_RANK_ZERO] = str(os.getpid())
            self._call_children_scripts()
        done = threading.Event()
        threading.Thread(target=self._watch, args=(done,), name="other ranks", daemon=True).start()
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            cause = self._end(error)
            if cause is error:
                raise
            raise cause from error
        finally:
            done.set()

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(_POLL_S):
            for rank, process in enumerate(self.procs, start=1):
                if process.poll() is not None:
                    self._outlived(rank, process.returncode, done)
                    return
            if os.environ.get(_RANK_ZERO, str(os.getpid())) not in (str(os.getpid()), str(os.getppid())):
                leave("error: rank 0 is gone, this rank ends too", 1)

    def _outlived(self, rank: int, code: int, done: threading.Event) -> None:
        """Ends this rank after another one of the machine, unless it ends by itself."""
        if code == PREEMPTED:
            STOP.ask(f"preemption of rank {rank}")
        if not done.wait(_FAILED_GRACE_S if code not in (0, PREEMPTED) else _ENDED_GRACE_S):
            self._kill()
            leave(f"error: rank {rank} {_how(code)}", PREEMPTED if code == PREEMPTED else 1)

    def _end(self, error: BaseException) -> BaseException:
        """Ends the other ranks of the machine after ``error`` and returns what this one shall raise."""
        if isinstance(error, SystemExit) and error.code == PREEMPTED:
            self._wait_for(lambda: all(process.poll() is not None for process in self.procs), _ENDED_GRACE_S)
            cause = error
        elif _from_collective(error):
            if not _timed_out(error):
                self._wait_for(
                    lambda: any(process.poll() is not None for process in self.procs), _FAILED_GRACE_S
                )
            cause = self._lost(error)
        else:
            cause = error
        self._kill()
        return cause

    def _kill(self) -> None:
        for process in self.procs:
            process.kill()

    def _lost(self, error: BaseException) -> BaseException:
        for rank, process in enumerate(self.procs, start=1):
            if process.returncode == PREEMPTED:
                return SystemExit(PREEMPTED)
            if process.returncode is not None:
                return RankLostError(f"rank {rank} {_how(process.returncode)}; the other ranks were stopped")
        reason = str(error).splitlines()[0]
        if _timed_out(error):
            return RankLostError(
                f"another rank hangs ({reason}); very slow disks need a longer ranks.timeout_s"
            )
        return RankLostError(f"another rank ended, its own message tells why ({reason})")

    def _wait_for(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.procs and not condition() and time.monotonic() < deadline:
            time.sleep(0.05)


def _from_collective(error: BaseException) -> bool:
    if isinstance(error, DistError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _BROKEN)


def _timed_out(error: BaseException) -> bool:
    return "timed out" in str(error).lower()


def _how(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
