"""Clips without their mean."""

import torch
from torch import Tensor


def centre(waveform: Tensor, length: Tensor | None = None) -> Tensor:
    """Subtract the mean of each clip's own samples.

    Args:
        waveform: (batch, channel, time).
        length: int64 (batch,), samples of each clip; behind them the result is 0. None where all are whole.
    """
    if length is None:
        return waveform - waveform.mean(dim=-1, keepdim=True)
    length = length.view(-1, 1, 1)
    own = torch.arange(waveform.shape[-1], device=waveform.device) < length
    clips = waveform * own
    return clips.sub_(clips.sum(dim=-1, keepdim=True) / length.clamp(min=1)).mul_(own)
