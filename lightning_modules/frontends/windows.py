"""Windows of consecutive frames of a clip."""

import torch
from torch import Tensor


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
