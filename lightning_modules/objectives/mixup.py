"""Mixup of waveforms, as AST trains with it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Beta

from lightning_modules.frontends.centre import centre


class Mixup(nn.Module):
    """Mix clips with others of the batch, and their labels by the same weights (Zhang et al. 2018; AST).

    With λ ~ Beta(alpha, alpha), a mixed clip is λ times itself plus 1 - λ times another one, drawn evenly, that is cut
    or continued by silence to its length; every mean is subtracted. AST draws the other clip from the whole corpus.
    Everything is drawn on the generator of the waveform's device.

    The targets suit `F.cross_entropy`, which takes probabilities, head by head.

    Args:
        probability: Of each clip to be mixed.
        alpha: Of the Beta distribution.

    Raises:
        ValueError: For a probability outside [0, 1] or an alpha that is not positive.
    """

    def __init__(self, probability: float = 0.5, *, alpha: float = 10.0) -> None:
        super().__init__()
        if not 0 <= probability <= 1 or alpha <= 0:
            raise ValueError(f"probability={probability} must be in [0, 1] and alpha={alpha} positive")
        self.probability = probability
        self.alpha = alpha

    def forward(
        self, waveform: Tensor, target: Tensor, *, num_classes: Sequence[int], length: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mix a batch; a batch of one clip has no other to mix with.

        Args:
            waveform: (batch, channel, time).
            target: int64 (batch,) or (batch, head), class indices; -1 (unknown) gives zeros.
            num_classes: Classes of each head.
            length: int64 (batch,), samples of each clip, which mixing keeps: a mixed clip is 0 behind them. None
                where all are whole, or their padding counts as theirs.

        Returns:
            Waveform as given, and target float32 (batch, sum of num_classes), heads side by side.
        """
        soft = one_hot(target, num_classes)
        batch, device = len(waveform), waveform.device
        if batch < 2 or self.probability == 0:
            return waveform, soft
        steps = torch.randint(1, batch, (batch,), device=device)
        partner = (torch.arange(batch, device=device) + steps) % batch
        alpha = torch.full((batch,), self.alpha, device=device)
        weight = Beta(alpha, alpha, validate_args=False).sample()
        is_mixed = torch.rand(batch, device=device) < self.probability
        clips = centre(waveform, length)
        mixed = centre(torch.lerp(clips[partner], clips, weight.to(clips.dtype).view(-1, 1, 1)), length)
        weight = weight.where(is_mixed, 1.0).unsqueeze(1)
        return mixed.where(is_mixed.view(-1, 1, 1), waveform), weight * soft + (1 - weight) * soft[partner]


def one_hot(target: Tensor, num_classes: Sequence[int]) -> Tensor:
    """Indices (batch,) or (batch, head) as float32 (batch, sum of num_classes), heads side by side; zeros for -1.

    >>> one_hot(torch.tensor([[1, -1], [0, 2]]), [2, 3])
    tensor([[0., 1., 0., 0., 0.],
            [1., 0., 0., 0., 1.]])
    """
    heads = target.reshape(len(target), -1).unbind(1)
    classes = [torch.arange(count, device=target.device) for count in num_classes]
    return torch.cat(
        [(head.unsqueeze(1) == each).float() for head, each in zip(heads, classes, strict=True)], dim=1
    )
