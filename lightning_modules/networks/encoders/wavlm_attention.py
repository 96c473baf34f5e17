"""Attention of WavLM that calls its layers, for those of ``transformers`` read their weights and pass them by.

Source: Chen et al., "WavLM: Large-Scale Self-Supervised Pre-Training for Full Stack Speech Processing" (IEEE JSTSP
2022), section III.B: relative positions count by a gate of each head's input.
Shape letters: b clip, h head, t query, s key.
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.wavlm.modeling_wavlm import WavLMAttention


class CallingAttention(WavLMAttention):
    """Gives what its base gives, but for rounding, and keeps no weights of attention."""

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_bias: Tensor | None = None,
        index: int = 0,
        **kwargs: object,
    ) -> tuple[Tensor, None, Tensor]:
        """Attend.

        Args:
            hidden_states: (b, t, width).
            attention_mask: bool (b, 1, 1, s), the steps that are heard; None hears all.
            position_bias: (h, t, s), what the first block gave; None in that block.
            index: Not needed, as is what follows.
            **kwargs: Of the base.

        Returns:
            (b, t, width), None, and the biases of positions (h, t, s).
        """
        if position_bias is None:
            time = hidden_states.shape[1]
            position_bias = self.compute_bias(time, time)
        by_head = rearrange(hidden_states, "b t (h d) -> b h t d", h=self.num_heads)
        gates = rearrange(self.gru_rel_pos_linear(by_head), "b h t (gate part) -> gate b h t part", gate=2)
        first, second = torch.sigmoid(gates.sum(-1, keepdim=True))  # (b, h, t, 1)
        bias = (first * (second * self.gru_rel_pos_const - 1) + 2) * position_bias
        query, key, value = (
            rearrange(layer(hidden_states), "b t (h d) -> b h t d", h=self.num_heads)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        bias = bias.to(query.dtype)
        if attention_mask is not None:
            bias = bias.masked_fill(~attention_mask, -torch.inf)
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout)
        return self.out_proj(rearrange(attended, "b h t d -> b t (h d)")), None, position_bias


def call_layers(model: nn.Module) -> None:
    """Lets all attention of a model call its layers; parameters and names stay."""
    for module in model.modules():
        if type(module) is WavLMAttention:
            module.__class__ = CallingAttention
