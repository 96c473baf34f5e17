"""The mean of a run's best checkpoints, as one checkpoint that scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning_modules.run.checkpoints import read_checkpoint

AVERAGED = "average_of"  # entry of such a checkpoint: names of the files that it is the mean of
# what training alone goes on from; the last is a callback's that averages, too
_OF_TRAINING = ("optimizer_states", "lr_schedulers", "loops", "callbacks", "current_model_state")


def average(paths: Sequence[Path]) -> dict[str, Any]:
    """Average the weights of checkpoints in float64, the statistics of batch norms among them.

    Counts, which have no mean, and all else that scoring needs are those of the first.

    Raises:
        ValueError: A checkpoint is damaged, or of another model than the first.
    """
    first = read_checkpoint(paths[0])
    mean = {
        name: tensor.double() if tensor.is_floating_point() else tensor
        for name, tensor in first["state_dict"].items()
    }
    for path in paths[1:]:
        state = read_checkpoint(path)["state_dict"]
        if {name: tensor.shape for name, tensor in state.items()} != {
            name: tensor.shape for name, tensor in mean.items()
        }:
            raise ValueError(
                f"{path}: of another model than {paths[0].name}: move it away to average the others"
            )
        for name, tensor in mean.items():
            if tensor.is_floating_point():
                tensor += state[name].double()
    own = first["state_dict"]
    averaged = {
        name: (tensor / len(paths)).to(own[name].dtype) if tensor.is_floating_point() else tensor
        for name, tensor in mean.items()
    }
    kept = {key: value for key, value in first.items() if key not in _OF_TRAINING}
    return kept | {"state_dict": averaged, AVERAGED: [path.name for path in paths]}
