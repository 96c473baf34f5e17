"""The checkpoints that a validation chooses."""

import math
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from lightning_modules.run.folder import Run


class BestCheckpoint(ModelCheckpoint):
    """Keeps the best checkpoints as ``best=<value>-epoch=<n>.ckpt``; `Run.best_checkpoint` finds them again.

    NaN is never best, nor is the infinite value that any other would beat: Lightning keeps both until a better one
    comes.

    Args:
        run: Whose folder.
        monitor: Logged value that chooses.
        mode: Whether the smallest (``min``) or the largest value (``max``) is best.
        save_top_k: How many to keep.
    """

    def __init__(self, run: Run, *, monitor: str, mode: str, save_top_k: int) -> None:
        super().__init__(
            dirpath=run.checkpoints,
            filename=f"best={{{monitor}:.6f}}-epoch={{epoch:04d}}",
            auto_insert_metric_name=False,
            enable_version_counter=False,
            monitor=monitor,
            mode=mode,
            save_top_k=save_top_k,
            save_on_train_epoch_end=True,
        )

    @property
    def state_key(self) -> str:
        """As its base has it, whose state older checkpoints carry."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def check_monitor_top_k(self, trainer: Trainer, current: Tensor | None = None) -> bool:
        """Whether a value is among the best."""
        if current is None:
            return False
        value = float(current)
        is_one = value < math.inf if self.mode == "min" else value > -math.inf
        return is_one and super().check_monitor_top_k(trainer, current)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the state of a checkpoint, whose paths are those of this folder where it has all of the files.

        Lightning forgets the best checkpoints of a folder that was moved, and keeps as many beside them.
        """
        assert self.dirpath is not None
        here = {
            path: str(Path(self.dirpath) / Path(path).name) for path in state_dict.get("best_k_models", {})
        }
        if here and all(Path(path).is_file() for path in here.values()):
            state_dict = state_dict | {
                "dirpath": self.dirpath,
                "best_k_models": {here[path]: score for path, score in state_dict["best_k_models"].items()},
                "best_model_path": here.get(state_dict["best_model_path"], ""),
                "kth_best_model_path": here.get(state_dict["kth_best_model_path"], ""),
            }
        super().load_state_dict(state_dict)
