"""Best checkpoints that are known again where a run's folder was moved."""

from pathlib import Path
from typing import Any

from lightning.pytorch import callbacks


class ModelCheckpoint(callbacks.ModelCheckpoint):
    """Lightning's, which forgets the best checkpoints of a folder that was moved, and keeps as many beside them."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the state of a checkpoint, whose paths are those of this folder where it has all of the files."""
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
