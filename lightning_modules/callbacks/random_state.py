"""Random states of every rank in the checkpoint, so that a resumed run draws what the uninterrupted one draws."""

import random
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class RandomState(Callback):
    """Saves the states of torch, CUDA, NumPy and Python of each rank and restores them before the next batch."""

    def __init__(self) -> None:
        self._pending: dict[str, Any] | None = None

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Gathers the states; all ranks take part in a save."""
        states: list[Any] = [None] * trainer.world_size
        if trainer.world_size > 1:
            torch.distributed.all_gather_object(states, _random_state())
        else:
            states = [_random_state()]
        checkpoint["random_states"] = states

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keeps this rank's state until the first batch; a run on more ranks than before draws anew on those."""
        states = checkpoint.get("random_states", [])
        if trainer.global_rank < len(states):
            self._pending = states[trainer.global_rank]

    def on_train_batch_start(self, *_: object) -> None:
        """Restores the state as late as possible: building loaders and loops may have drawn numbers."""
        self._restore()

    def on_validation_start(self, *_: object) -> None:
        """A run that was left within a validation begins with that one."""
        self._restore()

    def _restore(self) -> None:
        if self._pending is not None:
            _set_random_state(self._pending)
            self._pending = None


def _random_state() -> dict[str, Any]:
    # tensors and plain values only: checkpoints load with weights_only
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached),
        "python": random.getstate(),
    }


def _set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), *rest))  # noqa: NPY002
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
