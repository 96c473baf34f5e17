"""The half of AASIST that joins spectral and temporal nodes to one embedding.

Source: Jung et al., "AASIST: Audio anti-spoofing using integrated spectro-temporal graph attention networks"
(ICASSP 2022). Modules bear the published names. Shape letters: b clip, n node, d feature of a node.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lightning_modules.networks.graph_attention import GraphAttention, GraphPool, HeterogeneousGraphAttention


class SpectroTemporalGraphs(nn.Module):
    """What networks of the AASIST family share, which call `build_graphs` after their own modules."""

    embedding_dim: int

    def build_graphs(
        self,
        num_bands: int,
        in_dim: int,
        *,
        dims: tuple[int, int],
        pool_ratios: tuple[float, float, float],
        temperatures: tuple[float, float, float],
    ) -> None:
        """Adds the graphs.

        Args:
            num_bands: Spectral nodes.
            in_dim: Features of a node.
            dims: Those in the two homogeneous graphs, and in the heterogeneous ones.
            pool_ratios: Share of nodes kept after the spectral, the temporal and the heterogeneous graphs.
            temperatures: Softmax temperatures of the spectral, temporal and heterogeneous attention.
        """
        node_dim, joint_dim = dims
        self.pos_S = nn.Parameter(torch.randn(1, num_bands, in_dim))
        self.GAT_layer_S = GraphAttention(in_dim, node_dim, temperature=temperatures[0])
        self.GAT_layer_T = GraphAttention(in_dim, node_dim, temperature=temperatures[1])
        self.pool_S = GraphPool(node_dim, ratio=pool_ratios[0])
        self.pool_T = GraphPool(node_dim, ratio=pool_ratios[1])

        def joint_graph(in_dim: int) -> HeterogeneousGraphAttention:
            return HeterogeneousGraphAttention(in_dim, joint_dim, temperature=temperatures[2])

        self.master1 = nn.Parameter(torch.randn(1, 1, node_dim))
        self.master2 = nn.Parameter(torch.randn(1, 1, node_dim))
        self.HtrgGAT_layer_ST11 = joint_graph(node_dim)
        self.HtrgGAT_layer_ST12 = joint_graph(joint_dim)
        self.HtrgGAT_layer_ST21 = joint_graph(node_dim)
        self.HtrgGAT_layer_ST22 = joint_graph(joint_dim)
        self.pool_hS1 = GraphPool(joint_dim, ratio=pool_ratios[2])
        self.pool_hT1 = GraphPool(joint_dim, ratio=pool_ratios[2])
        self.pool_hS2 = GraphPool(joint_dim, ratio=pool_ratios[2])
        self.pool_hT2 = GraphPool(joint_dim, ratio=pool_ratios[2])
        self.drop_way = nn.Dropout(0.2)
        self.drop = nn.Dropout(0.5)
        self.embedding_dim = 5 * joint_dim

    def join(self, spectral: Tensor, temporal: Tensor) -> Tensor:
        """Embedding (b, embedding_dim) of spectral nodes, without their positions, and temporal ones, (b, n, d)."""
        spectral = self.pool_S(self.GAT_layer_S(spectral + self.pos_S))
        temporal = self.pool_T(self.GAT_layer_T(temporal))
        temporal, spectral, master = (
            torch.maximum(self.drop_way(first), self.drop_way(second))
            for first, second in zip(*self._branches(temporal, spectral), strict=True)
        )
        pooled = [stat for x in (temporal, spectral) for stat in (x.abs().amax(dim=1), x.mean(dim=1))]
        return torch.cat([*pooled, master.squeeze(1)], dim=1)

    def _branches(self, temporal: Tensor, spectral: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Two branches of two heterogeneous graphs each: temporal, spectral and master nodes."""
        for master, graph1, pool_spectral, pool_temporal, graph2 in (
            (self.master1, self.HtrgGAT_layer_ST11, self.pool_hS1, self.pool_hT1, self.HtrgGAT_layer_ST12),
            (self.master2, self.HtrgGAT_layer_ST21, self.pool_hS2, self.pool_hT2, self.HtrgGAT_layer_ST22),
        ):
            t, s, m = graph1(temporal, spectral, master)
            s, t = pool_spectral(s), pool_temporal(t)
            t_more, s_more, m_more = graph2(t, s, m)
            yield t + t_more, s + s_more, m + m_more
