"""A method that is built as in training, with weights of a file, as a trained model."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules.base import ClipDataModule
from datamodules.clips import Batch
from datamodules.hearing import Listening
from lightning_modules.config.parts import Parts, read_config
from lightning_modules.networks.weights import named_tensors
from lightning_modules.trained.checkpoint import parts_of, restore_fitted
from lightning_modules.trained.model import TrainedModel
from lightning_modules.trained.published import published_parts

_MIXED = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


def model_of_file(
    path: Path, content: Any, configs: Sequence[str | Path], device: torch.device
) -> TrainedModel:
    """Makes a trained model of a checkpoint or of published weights.

    Args:
        path: The file, for messages.
        content: What it holds.
        configs: YAML files in place of the configuration that is known; none takes that.
        device: Where to score.

    Raises:
        ValueError: No configuration is known, it is of another network, or the method gives clips no scores.
    """
    if isinstance(content, Mapping) and {"state_dict", "pytorch-lightning_version"} <= content.keys():
        parts = parts_of(dict(content), path, read_config(*configs) if configs else None)
        restore_fitted(parts, path)
    else:
        parts = published_parts(path, named_tensors(content, path), configs)
    return _model(parts, path, device)


def _model(parts: Parts, path: Path, device: torch.device) -> TrainedModel:
    """What the method's test does with a batch, without a trainer."""
    method, data = parts.model.eval().to(device), parts.datamodule
    method.scores_fixed_weights(True)
    scorer = method.scorer()
    if scorer is None:
        raise ValueError(
            f"{path}: {type(method).__name__} gives clips no scores: python -m lightning_modules.process, .generate"
            " and .mapper run production tools"
        )
    if not isinstance(data, ClipDataModule):
        raise ValueError(f"{path}: {type(data).__name__} is no ClipDataModule, which says how clips are cut")

    def score(batch: Batch) -> Tensor:
        batch = method.on_before_batch_transfer(batch, 0)  # as a trainer does
        batch = method.transfer_batch_to_device(batch, device, 0)
        with _autocast(parts.config, device):
            return method.score(batch)

    return TrainedModel(
        scorer,
        Listening.of(data),
        score,
        device=device,
        thresholds=method.fitted().thresholds,
        batch_size=data.eval_batch_size,
    )


def _autocast(config: Mapping[str, Any], device: torch.device) -> AbstractContextManager[object]:
    """As the trainer of the configuration computes."""
    dtype = _MIXED.get(config.get("trainer", {}).get("precision"))
    return torch.autocast(device.type, dtype, cache_enabled=False) if dtype else nullcontext()
