"""A weighted sum of hidden states over layers, whose weights are learnt."""

import torch
from torch import Tensor, nn


class LayerSum(nn.Module):
    """Sums over layers by the softmax of one number a layer; a single layer stays as it is.

    Source: Yang et al., "SUPERB: Speech processing universal performance benchmark" (Interspeech 2021).

    Args:
        num_layers: Number of layers.
    """

    def __init__(self, num_layers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_layers)) if num_layers > 1 else None

    def forward(self, states: Tensor) -> Tensor:
        """Sum (batch, layer, step, dim) to (batch, step, dim)."""
        return states.squeeze(1) if self.weight is None else summed_layers(states, self.weight)


def summed_layers(states: Tensor, weight: Tensor) -> Tensor:
    """Sum of states (batch, layer, step, dim), by the softmax of weights (layer,): (batch, step, dim)."""
    return torch.einsum("blsd,l->bsd", states, weight.softmax(dim=0).to(states.dtype))
