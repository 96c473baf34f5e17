"""Embeddings of evaluated clips on a plane: which classes a network tells apart."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning_utilities.core.rank_zero import rank_zero_warn
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from datamodules.clips import Clip
from lightning_modules.callbacks.evaluation_media import EVERY
from lightning_modules.callbacks.wandb_loggers import wandb_loggers
from lightning_modules.figure_text import plain
from lightning_modules.runs import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_CLIPS = 2000  # t-SNE of so many takes seconds
_PERPLEXITY = 30.0  # at most; a quarter of few clips
_MIN_CLIPS = 20  # for a perplexity of 5, the least that its authors use
_MAX_LABELS = 20


class EmbeddingMap(Callback):
    """Draws ``figures/<split>_embeddings.png``, a t-SNE of what the network's embeddings are in the loop of the split.

    After tests and the validations that `EvaluationMedia` shows. Of large splits it takes clips at equal distances,
    with several ranks those of rank zero. Networks that embed windows rather than clips have no map, nor have splits
    of fewer than 20 clips, nor embeddings without a plane: of one dimension, not finite, or all the same.

    Source: Fig. 2 of the InF + InI paper, which colours bona fide speech and each attack; t-SNE: van der Maaten and
    Hinton 2008.

    Args:
        run: Whose folder.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._hook: RemovableHandle | None = None
        self._embedding: Tensor | None = None  # of the last batch
        self._rows: list[Tensor] = []
        self._embeddings: list[Tensor] = []
        self._seen = 0
        self._stride = 1
        self._validations = 0

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listens to the network in some validations within training; nothing is computed twice."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._validations += 1
            if self._validations % EVERY == 1:
                self._begin(pl_module)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listens to the network."""
        self._begin(pl_module)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: int
    ) -> None:
        """Keeps some rows."""
        self._keep(trainer, batch, num_batches=trainer.num_val_batches)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: int
    ) -> None:
        """Keeps some rows."""
        self._keep(trainer, batch, num_batches=trainer.num_test_batches)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws the map and sends it to W&B."""
        self._draw(trainer, "validation")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws the map and sends it to W&B."""
        self._draw(trainer, "test")

    def _begin(self, pl_module: LightningModule) -> None:
        self._rows, self._embeddings, self._seen = [], [], 0
        network = getattr(pl_module, "network", None)
        self._hook = network.register_forward_hook(self._listen) if isinstance(network, nn.Module) else None

    def _listen(self, network: nn.Module, inputs: Any, output: Any) -> None:
        embedding = getattr(output, "embedding", None)  # of an `Output`
        self._embedding = embedding.detach() if isinstance(embedding, Tensor) else None

    def _keep(self, trainer: Trainer, batch: Any, *, num_batches: Sequence[int | float]) -> None:
        """Does not wait for the device."""
        embedding, self._embedding = self._embedding, None
        if embedding is None or not trainer.is_global_zero or len(embedding) != len(batch.index):
            return
        if not self._seen:
            self._stride = -(-int(num_batches[0]) * len(embedding) // MAX_CLIPS)
        first = -self._seen % self._stride
        self._seen += len(embedding)
        self._rows.append(batch.index[first :: self._stride])
        self._embeddings.append(embedding[first :: self._stride].flatten(1).float())

    def _draw(self, trainer: Trainer, split: str) -> None:
        if self._hook is not None:
            self._hook.remove()
        rows, embeddings, self._rows, self._embeddings = self._rows, self._embeddings, [], []
        if sum(map(len, rows)) < _MIN_CLIPS:
            return
        points = _centred(torch.cat(embeddings).cpu())
        if points is None:
            rank_zero_warn(
                f"{split}_embeddings: no map of embeddings of one dimension, not finite or all equal"
            )
            return
        data: Any = trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue]
        clips = [data.clips[split][row] for row in torch.cat(rows).tolist()]
        figure = embedding_figure(points, [label_of(clip, data.heads) for clip in clips], split=split)
        path = self._run.folder / "figures" / f"{split}_embeddings.png"
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, dpi=150)
        for logger in wandb_loggers(trainer):
            logger.log_image(f"{split}/embeddings", [str(path)])


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


def embedding_figure(embeddings: Tensor, labels: Sequence[str], *, split: str) -> Figure:
    """Maps embeddings by t-SNE.

    Args:
        embeddings: float32 (clip, dim), at least 20 clips.
        labels: One a clip; the 20 most frequent have colours.
        split: Whose clips, for the title.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from sklearn.manifold import TSNE

    perplexity = min(_PERPLEXITY, len(embeddings) / 4)
    points = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(embeddings.numpy())
    names = sorted(name for name, _ in Counter(labels).most_common(_MAX_LABELS))
    figure = Figure((7.0, 5.0), layout="constrained")
    axes = figure.add_subplot()
    of_label = np.array(labels)
    colors = mpl.colormaps["tab10" if len(names) <= 10 else "tab20"]
    others = ~np.isin(of_label, names)
    axes.scatter(*points[others].T, s=6, color="0.8", label="others" if others.any() else None)
    for number, name in enumerate(names):
        axes.scatter(*points[of_label == name].T, s=8, color=colors(number), label=plain(name))
    axes.set(xticks=[], yticks=[], title=f"t-SNE of the embeddings of {len(labels)} {split} clips")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, markerscale=2)
    return figure
