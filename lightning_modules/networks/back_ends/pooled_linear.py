"""The plainest back end: pool over time, then a linear layer."""

from typing import Literal, assert_never

from torch import Tensor, nn

from lightning_modules.networks.back_ends.back_end import BackEnd, heard
from lightning_modules.networks.back_ends.layer_sum import LayerSum
from lightning_modules.networks.back_ends.pooling import AttentiveStatistics, mean_over
from lightning_modules.networks.encoders.encoder import Hidden
from lightning_modules.networks.output import Output

Pooling = Literal["mean", "class_tokens", "attentive_statistics"]


class PooledLinear(BackEnd):
    """A linear layer on one state a clip.

    With the mean it is that of AntiDeepfake (Ge et al., 2025), whose names it bears.

    Args:
        num_classes: Number of logits.
        dim: Width of a hidden state.
        num_layers: Number of hidden states of a time step, which are summed by learnt weights.
        pooling: The ``mean`` over time, that of the encoder's ``class_tokens``, or `AttentiveStatistics`.
        norm_eps: Added to the variance by a norm before the linear layer, as heads of transformers have it; None is
            without a norm.
    """

    classifier = "proj_fc"

    def __init__(
        self,
        num_classes: int = 2,
        *,
        dim: int = 1024,
        num_layers: int = 1,
        pooling: Pooling = "mean",
        norm_eps: float | None = None,
    ) -> None:
        super().__init__(dim=dim, num_layers=num_layers)
        self.pooling: Pooling = pooling
        self.layer_sum = LayerSum(num_layers)
        self.statistics = AttentiveStatistics(dim) if pooling == "attentive_statistics" else None
        self.embedding_dim = dim if self.statistics is None else 2 * dim
        self.norm = None if norm_eps is None else nn.LayerNorm(self.embedding_dim, eps=norm_eps)
        self.proj_fc = nn.Linear(self.embedding_dim, num_classes)

    def forward(self, hidden: Hidden) -> Output:
        """Classify clips by what is heard of them.

        Raises:
            ValueError: The encoder has no class tokens.
        """
        embedding = self._pooled(hidden)
        return Output(embedding, self.logits(embedding if self.norm is None else self.norm(embedding)))

    def _pooled(self, hidden: Hidden) -> Tensor:
        if self.pooling == "class_tokens":
            if hidden.class_tokens is None or hidden.class_tokens.shape[-1] != self.dim:
                raise ValueError(
                    f"back_end.pooling=class_tokens: the encoder gives none of width {self.dim}: pool by"
                    " back_end.init_args.pooling=mean"
                )
            return self.layer_sum(hidden.class_tokens).mean(dim=1)
        states = self.layer_sum(hidden.states)
        if self.pooling == "mean":
            return mean_over(states, heard(hidden))
        if self.pooling == "attentive_statistics":
            assert self.statistics is not None
            return self.statistics(states.transpose(1, 2), heard(hidden))
        assert_never(self.pooling)
