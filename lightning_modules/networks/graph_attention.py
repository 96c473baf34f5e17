"""Graph attention over time and frequency nodes, as AASIST combines them.

Source: Jung et al., "AASIST: Audio anti-spoofing using integrated spectro-temporal graph attention
networks" (ICASSP 2022), sections 2.2 to 3. Shape letters: b clip, n node, d feature of a node.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _attention_weight(dim: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_normal_(torch.empty(dim, 1)))


class _PairAttention(nn.Module):
    """What both layers share: tanh of projected node products, and the update of nodes by attention."""

    def __init__(self, in_dim: int, out_dim: int, *, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.input_drop = nn.Dropout(0.2)
        self.att_proj = nn.Linear(in_dim, out_dim)
        self.proj_with_att = nn.Linear(in_dim, out_dim)
        self.proj_without_att = nn.Linear(in_dim, out_dim)
        self.bn = nn.BatchNorm1d(out_dim)

    def pairs(self, x: Tensor) -> Tensor:
        """Features of all node pairs: (b, n, d) -> (b, n, n, d')."""
        return torch.tanh(self.att_proj(x[:, :, None] * x[:, None]))

    def update(self, x: Tensor, scores: Tensor) -> Tensor:
        """New nodes (b, n, d') from nodes (b, n, d) and attention scores (b, n, n)."""
        attention = F.softmax(scores / self.temperature, dim=-1)
        x = self.proj_with_att(attention @ x) + self.proj_without_att(x)
        return F.selu(self.bn(x.flatten(0, 1)).view_as(x))


class GraphAttention(_PairAttention):
    """Attention among nodes of one type: (b, n, in_dim) -> (b, n, out_dim)."""

    def __init__(self, in_dim: int, out_dim: int, *, temperature: float) -> None:
        super().__init__(in_dim, out_dim, temperature=temperature)
        self.att_weight = _attention_weight(out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Update the nodes (b, n, in_dim)."""
        x = self.input_drop(x)
        return self.update(x, (self.pairs(x) @ self.att_weight).squeeze(-1))


class HeterogeneousGraphAttention(_PairAttention):
    """Attention among two types of nodes, and a master node that attends to all of them but that none attends to."""

    def __init__(self, in_dim: int, out_dim: int, *, temperature: float) -> None:
        super().__init__(in_dim, out_dim, temperature=temperature)
        self.proj_type1 = nn.Linear(in_dim, in_dim)
        self.proj_type2 = nn.Linear(in_dim, in_dim)
        self.att_projM = nn.Linear(in_dim, out_dim)
        self.att_weight11 = _attention_weight(out_dim)
        self.att_weight22 = _attention_weight(out_dim)
        self.att_weight12 = _attention_weight(out_dim)
        self.att_weightM = _attention_weight(out_dim)
        self.proj_with_attM = nn.Linear(in_dim, out_dim)
        self.proj_without_attM = nn.Linear(in_dim, out_dim)

    def forward(self, x1: Tensor, x2: Tensor, master: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Update both sets of nodes and the master.

        Args:
            x1: Nodes of the first type (b, n1, in_dim).
            x2: Nodes of the second type (b, n2, in_dim).
            master: (b or 1, 1, in_dim).

        Returns:
            (b, n1, out_dim), (b, n2, out_dim) and (b, 1, out_dim).
        """
        num_first = x1.shape[1]
        x = self.input_drop(torch.cat([self.proj_type1(x1), self.proj_type2(x2)], dim=1))
        master_score = torch.tanh(self.att_projM(x * master)) @ self.att_weightM  # (b, n, 1)
        heard = F.softmax(master_score / self.temperature, dim=1).transpose(1, 2) @ x  # (b, 1, d)
        master = self.proj_with_attM(heard) + self.proj_without_attM(master)
        x = self.update(x, self._scores(self.pairs(x), num_first))
        return x[:, :num_first], x[:, num_first:], master

    def _scores(self, pairs: Tensor, num_first: int) -> Tensor:
        """Attention scores (b, n, n): one weight for each kind of pair, the cross kinds share theirs."""
        kinds = pairs @ torch.cat([self.att_weight11, self.att_weight12, self.att_weight22], dim=1)
        first, cross, second = kinds.unbind(-1)
        upper = torch.cat([first[:, :num_first, :num_first], cross[:, :num_first, num_first:]], dim=2)
        lower = torch.cat([cross[:, num_first:, :num_first], second[:, num_first:, num_first:]], dim=2)
        return torch.cat([upper, lower], dim=1)


class GraphPool(nn.Module):
    """Keep the share `ratio` of the nodes that score highest, weighted by their scores, best first."""

    def __init__(self, dim: int, *, ratio: float) -> None:
        super().__init__()
        self.ratio = ratio
        self.drop = nn.Dropout(0.3)
        self.proj = nn.Linear(dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Pool (b, n, d) to (b, max(int(n * ratio), 1), d)."""
        scores = torch.sigmoid(self.proj(self.drop(x)))  # (b, n, 1)
        kept = scores.topk(max(int(x.shape[1] * self.ratio), 1), dim=1).indices
        return (x * scores).gather(1, kept.expand(-1, -1, x.shape[2]))
