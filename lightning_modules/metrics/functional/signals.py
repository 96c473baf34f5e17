"""What all distances of audio signals share."""

import torch
from torch import Tensor

SILENCE = 1e-10
"""Mean power of digital silence, -100 dB to full scale."""


def aligned(estimate: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float32 or float64.

    Raises:
        ValueError: If the shapes differ or there is no time.
    """
    if estimate.shape != target.shape or estimate.ndim < 2 or not estimate.shape[-1]:
        raise ValueError(
            f"signals of shapes {tuple(estimate.shape)} and {tuple(target.shape)}: give two of one shape (batch, ...,"
            " time), with at least a sample"
        )
    dtype = torch.promote_types(torch.promote_types(estimate.dtype, target.dtype), torch.float32)
    return estimate.to(dtype), target.to(dtype)
