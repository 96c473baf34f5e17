"""MHFA: multi-head factorized attentive pooling of the hidden states of all layers.

Source: Peng et al., "An attention-based backend allowing efficient fine-tuning of transformer models for speaker
verification" (SLT 2022); for spoofed speech as WeDefense has it, whose names the modules bear.
Shape letters: b clip, t time, h head, d dimension.
"""

import torch
import torch.nn.functional as F
from torch import nn

from lightning_modules.networks.back_ends.back_end import BackEnd, heard
from lightning_modules.networks.back_ends.layer_sum import summed_layers
from lightning_modules.networks.encoders.encoder import Hidden
from lightning_modules.networks.output import Output


class _Projection(nn.Module):
    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__()
        self.trans = nn.Sequential(nn.BatchNorm1d(dim), nn.ReLU(), nn.Linear(dim, num_classes))


class MHFA(BackEnd):
    """Keys and values are two sums over layers by learnt weights; each head attends over what is heard.

    Args:
        num_classes: Number of logits.
        dim: Width of a hidden state.
        num_layers: Number of hidden states of a time step: ``layers: all`` of the encoder, its blocks' and their input.
        num_heads: Attention heads.
        compression_dim: Width of a key and of a value.
        embedding_dim: Width of an embedding.
    """

    classifier = "projection.trans.2"

    def __init__(
        self,
        num_classes: int = 2,
        *,
        dim: int = 768,
        num_layers: int = 13,
        num_heads: int = 8,
        compression_dim: int = 128,
        embedding_dim: int = 256,
    ) -> None:
        super().__init__(dim=dim, num_layers=num_layers)
        self.embedding_dim = embedding_dim
        self.weights_k = nn.Parameter(torch.ones(num_layers))
        self.weights_v = nn.Parameter(torch.ones(num_layers))
        self.cmp_linear_k = nn.Linear(dim, compression_dim)
        self.cmp_linear_v = nn.Linear(dim, compression_dim)
        self.att_head = nn.Linear(compression_dim, num_heads)
        self.pooling_fc = nn.Linear(num_heads * compression_dim, embedding_dim)
        self.projection = _Projection(embedding_dim, num_classes)

    def forward(self, hidden: Hidden) -> Output:
        """Classify clips by what is heard of them."""
        keys = self.cmp_linear_k(summed_layers(hidden.states, self.weights_k))
        values = self.cmp_linear_v(summed_layers(hidden.states, self.weights_v))
        scores = self.att_head(keys).masked_fill(~heard(hidden)[:, :, None], -torch.inf)
        pooled = torch.einsum("bth,btd->bhd", scores.softmax(dim=1).to(values.dtype), values)
        embedding = self.pooling_fc(pooled.flatten(1))
        return Output(embedding, self.logits(F.relu(self.projection.trans[0](embedding))))
