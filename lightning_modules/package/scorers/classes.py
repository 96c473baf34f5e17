"""Probabilities of classes or tags."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lightning_modules.package.scorers.scorer import Scorer, at_least_float32


class ClassScorer(Scorer):
    """Probabilities of all classes, heads side by side.

    Args:
        network: Features -> `Output` with one logit a class, or one a head of two classes (`is_multi_tag`).
        frontend: (batch, channel, time) and lengths -> features.
        heads: Head -> class names by index.
        is_multi_tag: Each head is a tag that is there or not, with one logit.
    """

    over_windows = "max"
    meaning = "probability of every class; those of a head add up to 1"
    frontend: nn.Module

    def __init__(
        self,
        network: nn.Module,
        frontend: nn.Module,
        *,
        heads: Mapping[str, Sequence[str]],
        is_multi_tag: bool = False,
    ) -> None:
        super().__init__(network, frontend)
        self.heads = {head: list(names) for head, names in heads.items()}
        self.is_multi_tag = is_multi_tag

    def forward(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Score clips.

        Args:
            waveform: (batch, channel, time) in [-1, 1].
            length: int64 (batch,), samples of each clip before its crop was filled; None where none was.

        Returns:
            (batch, class), of at least float32.
        """
        return self.of_features(self.frontend(waveform, length))

    def of_features(self, features: Tensor) -> Tensor:
        """Score clips by what the front end makes of them; returns (batch, class) of at least float32."""
        logits = at_least_float32(self.network(features).logits)
        if self.is_multi_tag:  # a sigmoid is a softmax over a logit of zero and its own
            logits = torch.stack([torch.zeros_like(logits), logits], dim=2).flatten(1)
        sizes = [len(names) for names in self.heads.values()]
        return torch.cat([head.softmax(dim=1) for head in logits.split(sizes, dim=1)], dim=1)
