"""From the states of all time steps to one of a clip, without those of padding."""

import torch
from torch import Tensor, nn


def mean_over(states: Tensor, heard: Tensor) -> Tensor:
    """Mean of states (batch, time, dim) over the steps (batch, time) that are heard."""
    return states.masked_fill(~heard[:, :, None], 0).sum(dim=1) / heard.sum(dim=1, keepdim=True)


class AttentiveStatistics(nn.Module):
    """Mean and standard deviation over time, of which every channel weighs the steps by itself.

    Source: Okabe, Koshinaka and Shinoda, "Attentive statistics pooling for deep speaker embedding" (Interspeech 2018),
    with weights for each channel as ECAPA-TDNN has them.

    Args:
        dim: Width of a state.
        hidden_dim: Width of the layer within.
    """

    def __init__(self, dim: int, hidden_dim: int = 128) -> None:
        super().__init__()
        self.linear1 = nn.Conv1d(dim, hidden_dim, 1)
        self.linear2 = nn.Conv1d(hidden_dim, dim, 1)

    def forward(self, states: Tensor, heard: Tensor | None = None) -> Tensor:
        """Pool states.

        Args:
            states: (batch, dim, time).
            heard: Which steps count, bool (batch, time); None stands for all.

        Returns:
            Means, then deviations, (batch, 2 dim).
        """
        scores = self.linear2(torch.tanh(self.linear1(states)))
        if heard is not None:
            scores = scores.masked_fill(~heard[:, None], -torch.inf)
        weights = scores.softmax(dim=2)
        states = states.to(weights.dtype)
        mean = (weights * states).sum(dim=2)
        variance = (weights * states.square()).sum(dim=2) - mean.square()
        return torch.cat([mean, variance.clamp(min=1e-10).sqrt()], dim=1)
