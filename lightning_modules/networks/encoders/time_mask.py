"""Masks of time spans of an encoder's input, as in its pre-training."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(kw_only=True)
class TimeMask:
    """How much of a clip is masked in training.

    Attributes:
        share: Of the time steps, but for overlaps of spans.
        span: Time steps of a span; clips that are shorter stay as they are.
    """

    share: float = 0.05
    span: int = 10

    def draw(self, length: Tensor, time: int) -> Tensor:
        """Draw spans.

        Args:
            length: int64 (batch,), time steps of each clip.
            time: Steps of the batch.

        Returns:
            bool (batch, time), true where masked.
        """
        step = torch.arange(time, device=length.device)
        room = (length - self.span + 1).clamp(min=0)
        wanted = self.share * length / self.span + torch.rand(len(length), device=length.device)
        count = torch.minimum(wanted.long(), room)
        order = torch.rand(len(length), time, device=length.device).masked_fill(step >= room[:, None], 2)
        begins = order.argsort(dim=1).argsort(dim=1) < count[:, None]
        return F.max_pool1d(F.pad(begins.float(), (self.span - 1, 0)), self.span, stride=1) > 0
