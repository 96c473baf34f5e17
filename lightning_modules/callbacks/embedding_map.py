"""Embeddings of evaluated clips on a plane: which classes a network tells apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning_utilities.core.rank_zero import rank_zero_warn
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lightning_modules.base import EvaluatedModule, data_of
from lightning_modules.callbacks.cadence import Cadence
from lightning_modules.figures.embeddings import embedding_figure
from lightning_modules.figures.text import headline
from lightning_modules.run.evaluations import Evaluations
from lightning_modules.run.folder import Run
from lightning_modules.run.tracking import wandb_loggers

if TYPE_CHECKING:
    from datamodules.clips import Clip

MAX_CLIPS = 2000  # t-SNE of so many takes seconds
_MIN_CLIPS = 20  # for a perplexity of 5, the least that its authors use


class EmbeddingMap(Callback):
    """Draws ``figures/<split>_embeddings.png``, a t-SNE of what the network's embeddings are in the loop of the split.

    After tests and the validations that `EvaluationMedia` shows. Of large splits it takes clips at equal distances,
    with several ranks those of rank zero. Networks that embed windows rather than clips have no map, nor have splits
    of fewer than 20 clips, nor embeddings without a plane: of one dimension, not finite, or all the same.

    Source: Fig. 2 of the InF + InI paper, which colours bona fide speech and each attack; t-SNE: van der Maaten and
    Hinton 2008.

    Args:
        run: Whose folder.
        evaluations: Names what is evaluated.

    Attributes:
        min_clips: Fewer have no map.
    """

    def __init__(self, run: Run, evaluations: Evaluations) -> None:
        self._run, self._evaluations = run, evaluations
        self.min_clips = _MIN_CLIPS
        self._hook: RemovableHandle | None = None
        self._heard: list[Tensor] = []  # of the last batch
        self._rows: list[Tensor] = []
        self._embeddings: list[Tensor] = []
        self._seen = 0
        self._stride = 1
        self._cadence = Cadence()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listens to the network in some validations within training; nothing is computed twice."""
        if self._cadence.is_due(trainer):
            self._begin(pl_module)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listens to the network."""
        self._begin(pl_module)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: int
    ) -> None:
        """Keeps some rows."""
        self._keep(trainer, batch)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: int
    ) -> None:
        """Keeps some rows."""
        self._keep(trainer, batch)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws the map and sends it to W&B."""
        self._draw(trainer, "validation")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws the map and sends it to W&B."""
        self._draw(trainer, "test")

    def _begin(self, pl_module: LightningModule) -> None:
        self._rows, self._embeddings, self._seen, self._stride = [], [], 0, 1
        if isinstance(pl_module, EvaluatedModule) and pl_module.network is not None:
            self._hook = pl_module.network.register_forward_hook(self._listen)

    def _listen(self, network: nn.Module, inputs: Any, output: Any) -> None:
        from lightning_modules.networks.output import (
            Output,  # and with it all networks, which a start does without
        )

        if isinstance(output, Output):
            self._heard.append(output.embedding.detach())

    def _keep(self, trainer: Trainer, batch: Any) -> None:
        """Of every `_stride` clips one, of twice as many when there are too many; does not wait for the device."""
        heard, self._heard = self._heard, []
        if not trainer.is_global_zero or sum(map(len, heard)) != len(batch.index):
            return
        embedding = torch.cat(heard)
        first = -self._seen % self._stride
        self._seen += len(embedding)
        self._rows.append(batch.index[first :: self._stride])
        self._embeddings.append(embedding[first :: self._stride].flatten(1).float())
        if sum(map(len, self._rows)) > MAX_CLIPS:
            self._rows = [torch.cat(self._rows)[::2]]
            self._embeddings = [torch.cat(self._embeddings)[::2]]
            self._stride *= 2

    def _draw(self, trainer: Trainer, split: str) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        rows, embeddings, self._rows, self._embeddings = self._rows, self._embeddings, [], []
        if sum(map(len, rows)) < self.min_clips:
            return
        points = _centred(torch.cat(embeddings).cpu())
        if points is None:
            rank_zero_warn(
                f"{split}_embeddings: no map of embeddings of one dimension, not finite or all equal"
            )
            return
        data = data_of(trainer)
        clips = [data.rows[split][row] for row in torch.cat(rows).tolist()]
        figure = embedding_figure(points, [label_of(clip, data.target_names) for clip in clips], split=split)
        figure.suptitle(headline(self._run, data.corpus, split), fontsize=9)
        name = self._evaluations.of(split, data.rows[split]).name
        path = self._run.folder / "figures" / f"{name}_embeddings.png"
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, dpi=150)
        for logger in wandb_loggers(trainer):
            logger.log_image(f"{name}/embeddings", [str(path)])


def _centred(embeddings: Tensor) -> Tensor | None:
    """Embeddings (clip, dim) in [-1, 1] about 0, which changes no map; None where t-SNE fails or even crashes."""
    centred = embeddings - embeddings.mean(dim=0)
    largest = float(centred.abs().max())
    if embeddings.shape[1] < 2 or not math.isfinite(largest) or not largest:
        return None
    return centred / largest


def label_of(clip: Clip, heads: Any) -> str:
    """The attack of a spoofed clip, else the name of a clip's class, in the first head of several."""
    if clip.attributes.get("attack", "-") not in ("-", "", "bonafide"):
        return clip.attributes["attack"]
    target = clip.target[0] if isinstance(clip.target, tuple) else clip.target
    return next(iter(heads.values()))[target] if target >= 0 else "unknown"
