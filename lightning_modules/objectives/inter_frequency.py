"""Inter-frequency correlation: a clip and its masked copy shall get the same decision."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.frontends.band_pass_mask import BandPassMask

_NEAR = (
    0.25  # logarithm of a ratio of probabilities below which ten terms of a series have all digits of float64
)


class InterFrequency(nn.Module):
    """Mask waveforms to one band and keep the network's decisions consistent (paper section 3.1, eq. 2).

    Training classifies `mask(waveform)` as well as the waveform (eq. 6) and adds `weight` times the
    consistency of both decisions.

    Args:
        weight: Of the consistency loss in the sum of all losses; 0 leaves only the masked copies ("without
            consistency loss" in the paper's Table 3).
        mask: Waveform to masked waveform; the paper's random 2 kHz band unless given.
        divergence: "forward" is KL(clean || masked), "reverse" KL(masked || clean), "symmetric" half of their
            sum.
        stop_gradient: Whether the clean decision is a fixed target.
    """

    def __init__(
        self,
        weight: float = 0.1,
        *,
        mask: nn.Module | None = None,
        divergence: Literal["symmetric", "forward", "reverse"] = "symmetric",
        stop_gradient: bool = False,
    ) -> None:
        super().__init__()
        if divergence not in {"symmetric", "forward", "reverse"}:
            raise ValueError(f"divergence={divergence!r} must be symmetric, forward or reverse")
        self.weight = weight
        self.mask = BandPassMask() if mask is None else mask
        self.divergence = divergence
        self.stop_gradient = stop_gradient

    def forward(self, logits: Tensor, logits_masked: Tensor) -> Tensor:
        """Compute the consistency loss of eq. 2, not yet weighted, averaged over the batch.

        Args:
            logits: Of the waveforms (batch, classes); one column is the log odds of class 1.
            logits_masked: Of their masked copies, same shape.

        Returns:
            Scalar of at least float32, >= 0; zero, without gradient, if the weight is 0.
        """
        if self.weight == 0:
            return torch.zeros((), device=logits.device)
        clean = log_probabilities(logits.detach() if self.stop_gradient else logits)
        masked = log_probabilities(logits_masked)
        if self.divergence == "forward":
            return divergence(clean, masked)
        if self.divergence == "reverse":
            return divergence(masked, clean)
        return (divergence(clean, masked) + divergence(masked, clean)) / 2


def log_probabilities(logits: Tensor) -> Tensor:
    """Log softmax (batch, classes) in at least float32; one column z reads as the two classes [0, z]."""
    if logits.shape[-1] == 1:
        logits = F.pad(logits, (1, 0))
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) of log probabilities (batch, classes), averaged over the batch; exact where both are nearly equal.

    To the terms p (log p - log q), which then cancel, q - p is added, which sums up to 0: no term is below 0 any more.
    """
    log_ratio = q - p
    near = log_ratio.clamp(-_NEAR, _NEAR)
    series = sum(near**k / math.factorial(k) for k in range(2, 12))  # exp(x) - 1 - x
    terms = q.exp() - p.exp() * (1 + log_ratio)
    return torch.where(log_ratio.abs() < _NEAR, p.exp() * series, terms).sum(dim=-1).mean()
