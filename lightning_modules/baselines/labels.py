"""What is known of described clips."""

import torch
from torch import Tensor

from lightning_modules.baselines.statistics import Described


def targets(clips: Described) -> Tensor:
    """int64 (clip, head)."""
    return torch.tensor([row.target for row in clips.rows]).reshape(len(clips.rows), -1)


def labelled(clips: Described, target: Tensor) -> tuple[Described, Tensor]:
    """The clips whose label (clip,) is known, not -1, and their labels."""
    known = target >= 0
    rows = [row for row, is_known in zip(clips.rows, known.tolist(), strict=True) if is_known]
    return Described(rows, clips.statistics[known]), target[known]


def instance_numbers(clips: Described, train: Described) -> Tensor:
    """int64 (clip,): machine instance of each clip among those that are trained on, -1 of another."""
    names = sorted({row.attributes.get("instance", "") for row in train.rows if row.target == 0})
    numbers = {name: number for number, name in enumerate(names)}
    return torch.tensor([numbers.get(row.attributes.get("instance", ""), -1) for row in clips.rows])
