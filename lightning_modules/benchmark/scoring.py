"""What scoring whole clips in batches of one length costs, beside batches that padding makes larger."""

import statistics
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch

from datamodules.base import ClipDataModule
from datamodules.clips import Batch, Item, collate
from lightning_modules.benchmark.steps import ROUNDS, now

_NUM_CLIPS = 128


@torch.no_grad()
def whole_clip_figures(model: Any, data: Any) -> dict[str, float]:
    """Clips a second of the validation split, without decoding, and over the speed in padded batches of similar length.

    Nothing is measured where clips are cut, or where scoring has to be fitted first.
    """
    if not isinstance(data, ClipDataModule) or data.eval_crop_s is not None or model.fits_on_training_clips:
        return {}
    data.setup("validate")
    dataset = data.dataset("validation", None)
    items = sorted(
        (dataset[row, 0] for row in range(min(len(dataset), _NUM_CLIPS))),
        key=lambda item: -item.waveform.shape[1],
    )
    if not items:
        return {}

    def batches(groups: Sequence[Sequence[Item]]) -> list[Batch]:
        size = data.eval_batch_size
        parts = [group[begin : begin + size] for group in groups for begin in range(0, len(group), size)]
        made = [collate(part, data.padding) for part in parts]
        return [model.transfer_batch_to_device(batch, model.device, 0) for batch in made]

    equal = batches([list(group) for _, group in groupby(items, lambda item: item.waveform.shape[1])])
    padded = batches([items])
    is_training = model.training
    model.eval()
    rounds = [(_seconds(model, equal), _seconds(model, padded)) for _ in range(ROUNDS + 1)][1:]
    model.train(is_training)
    return {
        "whole_clips_per_s": len(items) / statistics.median(of_equal for of_equal, _ in rounds),
        "whole_clips_of_one_length_over_padded": statistics.median(
            of_padded / of_equal for of_equal, of_padded in rounds
        ),
    }


def _seconds(model: Any, batches: Sequence[Batch]) -> float:
    begin = now(model.device)
    for batch in batches:
        model.score(batch)
    return now(model.device).since(begin).wall
