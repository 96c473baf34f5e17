"""Windows of consecutive frames, and from their scores to one score a clip."""

from typing import Literal

import torch
from torch import Tensor

Aggregation = Literal["mean", "median", "max", "std"]


def random_windows(features: Tensor, num_frames: Tensor, size: int) -> Tensor:
    """Draws one window of every clip, all places alike.

    Args:
        features: (batch, band, frame).
        num_frames: int64 (batch,), frames of each clip, at least `size`.
        size: Frames of a window.

    Returns:
        (batch, band, size).
    """
    draw = torch.rand(len(features), device=features.device)
    first = (draw * (num_frames - size + 1)).long()
    frames = first[:, None] + torch.arange(size, device=features.device)
    return features.gather(2, frames[:, None, :].expand(-1, features.shape[1], -1))


def place_windows(num_frames: Tensor, size: int, hop: int) -> tuple[Tensor, Tensor]:
    """Returns clip and first frame, (window,) each, of every window within its clip, clip by clip."""
    first = torch.arange(0, int(num_frames.max()) - size + 1, hop, device=num_frames.device)
    clip, place = (first + size <= num_frames[:, None]).nonzero(as_tuple=True)
    return clip, first[place]


def take_windows(features: Tensor, clip: Tensor, first: Tensor, size: int) -> Tensor:
    """Copies windows out of (batch, band, frame) features; returns (window, band, size)."""
    return features.unfold(-1, size, 1)[clip, :, first]


def aggregate(scores: Tensor, clip: Tensor, num_clips: int, how: Aggregation) -> Tensor:
    """Sums up the window scores of each clip.

    Args:
        scores: (window,).
        clip: int64 (window,), ascending, which clip a window is of; every clip has one at least.
        num_clips: Number of clips.
        how: Mean, median (the lower of two), maximum or standard deviation of a clip's windows.

    Returns:
        float64 (num_clips,).
    """
    counts = clip.bincount(minlength=num_clips)
    place = torch.arange(len(clip), device=clip.device) - (counts.cumsum(0) - counts)[clip]
    table = torch.full((num_clips, int(counts.max())), torch.nan, dtype=torch.float64, device=scores.device)
    table[clip, place] = scores.double()
    match how:
        case "mean":
            return table.nanmean(1)
        case "median":
            return table.nanmedian(1).values
        case "max":
            return table.nan_to_num(-torch.inf).amax(1)
        case "std":
            return (table - table.nanmean(1, keepdim=True)).square().nanmean(1).sqrt()
