"""Embeddings on a plane, by t-SNE (van der Maaten and Hinton 2008)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from lightning_modules.figures import panels
from lightning_modules.figures.text import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PERPLEXITY = 30.0  # at most; a quarter of few clips
_MAX_LABELS = 20


def embedding_figure(embeddings: Tensor, labels: Sequence[str], *, split: str) -> Figure:
    """Maps embeddings by t-SNE.

    Args:
        embeddings: float32 (clip, dim), at least 20 clips.
        labels: One a clip; the 20 most frequent have colours.
        split: Whose clips, for the title.
    """
    import matplotlib as mpl
    from sklearn.manifold import TSNE

    perplexity = min(_PERPLEXITY, len(embeddings) / 4)
    points = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(embeddings.numpy())
    names = sorted(name for name, _ in Counter(labels).most_common(_MAX_LABELS))
    figure, (axes,) = panels(1, 7.0, 5.0)
    of_label = np.array(labels)
    colors = mpl.colormaps["tab10" if len(names) <= 10 else "tab20"]
    others = ~np.isin(of_label, names)
    axes.scatter(*points[others].T, s=6, color="0.8", label="others" if others.any() else None)
    for number, name in enumerate(names):
        axes.scatter(*points[of_label == name].T, s=8, color=colors(number), label=plain(name))
    axes.set(xticks=[], yticks=[], title=f"t-SNE of the embeddings of {len(labels)} {split} clips")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, markerscale=2)
    return figure
