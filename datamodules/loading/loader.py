"""A loader that continues an interrupted epoch with the very next batch, and the settings of its workers."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from datamodules.cpus import allowed_cpus
from datamodules.loading.samplers import TrainSampler

_MAX_WORKERS = 8  # more do not help: the disk or the interpreter's main process is the limit by then


class Loader(DataLoader[Any]):
    """A loader that says so where a worker is gone whose batch is still to be fetched.

    PyTorch says it of workers that it waits for. Of a batch that waits for itself, only the connection is lost.
    """

    def __iter__(self) -> Iterator[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        try:
            yield from super().__iter__()
        except (ConnectionError, EOFError) as error:
            if not self.num_workers or "Caught" in str(error):  # the data set's own
                raise
            raise RuntimeError(f"DataLoader worker (pid unknown) exited unexpectedly ({error})") from error


class ResumableLoader(Loader):
    """Loader of training batches whose progress is saved with a checkpoint.

    An iteration goes to the end of an epoch, from its beginning or from where an earlier one or a restored run
    stopped: nothing is skipped or seen twice. Progress counts batches handed out, not those that workers hold
    ready. An iteration begins with its first batch, for Lightning may ask for an iterator and drop it unused.

    Args:
        dataset: What the batches are made of.
        batch_sampler: Gives the order of an epoch and starts anywhere in it.
        epoch_batches: Batches after which the caller ends the epoch; None is all.
        **settings: Of `torch.utils.data.DataLoader`, see `worker_settings`.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        *,
        batch_sampler: TrainSampler,
        epoch_batches: int | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(dataset, batch_sampler=batch_sampler, **settings)
        self._order = batch_sampler
        self.epoch_batches = len(batch_sampler) if epoch_batches is None else epoch_batches
        self._epoch = self._position = 0

    def __iter__(self) -> Iterator[Any]:
        if self._position >= self.epoch_batches:
            self._epoch, self._position = self._epoch + 1, 0
        self._order.seek(self._epoch, self._position)
        for batch in super().__iter__():
            self._position += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Epoch under way and batches of it handed out so far."""
        return {"epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next iteration continue at a saved position."""
        self._epoch, self._position = state["epoch"], state["position"]


def worker_settings(
    num_workers: int | None, *, seed: int = 0, ranks_on_node: int = 1, persistent: bool = True
) -> dict[str, Any]:
    """Arguments of a `DataLoader` that decodes audio.

    Workers come from a fork server that has imported torch once: they start in milliseconds, and inherit
    neither threads nor locks nor the CUDA context of the training process, all of which deadlock forked
    workers. Windows has none and starts each anew, in seconds. They end with the training process, however it
    ends.

    Args:
        num_workers: None takes one less than the CPUs of this process, at most 8; 0 decodes in the process
            itself.
        seed: Of the random numbers that workers find in torch, NumPy and Python; ranks need different ones.
        ranks_on_node: Processes that share the CPUs.
        persistent: Keep workers from one epoch to the next.
    """
    workers = default_workers(ranks_on_node) if num_workers is None else num_workers
    settings: dict[str, Any] = {
        "num_workers": workers,
        "pin_memory": torch.cuda.is_available(),
        # Without its own generator a loader draws from the global one and shifts dropout after a resumption.
        "generator": torch.Generator().manual_seed(seed),
    }
    if workers:
        settings |= {
            "multiprocessing_context": _start_method(),
            "persistent_workers": persistent,
            # Lightning's own would import Lightning in every worker, which takes seconds.
            "worker_init_fn": _end_with_trainer,
        }
    return settings


def _start_method() -> BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["datamodules.clips"])
    return context


def _end_with_trainer(_worker: int) -> None:
    """Watches for the end of the training process: torch's workers look at the fork server, which outlives it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it cannot be blocked, Ctrl-C reaches workers too
    trainer = multiprocessing.parent_process()
    assert trainer is not None

    def watch() -> None:
        trainer.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def default_workers(ranks_on_node: int = 1) -> int:
    """Loader workers that leave one CPU to the process itself.

    SLURM's number is per task; the scheduler's affinity may cover the whole node and is shared between its
    ranks.
    """
    allowed = allowed_cpus()
    share = min(int(os.environ.get("SLURM_CPUS_PER_TASK", allowed // ranks_on_node)), allowed)
    return min(max(share - 1, 0), _MAX_WORKERS)
