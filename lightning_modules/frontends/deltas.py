"""Differences along time, appended to features."""

import torch
from torch import Tensor


def delta(features: Tensor) -> Tensor:
    """Next frame minus the previous one, edge frames repeated: (..., dim, frame) -> the same shape."""
    following = torch.cat([features[..., 1:], features[..., -1:]], dim=-1)
    previous = torch.cat([features[..., :1], features[..., :-1]], dim=-1)
    return following - previous


def append_deltas(features: Tensor, num_deltas: int) -> Tensor:
    """Stack features and their first `num_deltas` differences: (..., dim * (1 + num_deltas), frame)."""
    orders = [features]
    for _ in range(num_deltas):
        orders.append(delta(orders[-1]))
    return torch.cat(orders, dim=-2)
