"""A frozen network as what it says of a clip: one vector, or one of every layer."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from lightning_modules.networks.encoder_classifier import EncoderClassifier
from lightning_modules.networks.encoders.encoder import Encoder, Hidden
from lightning_modules.networks.output import Output

Pooling = Literal["mean", "class"]


class Embedder(nn.Module):
    """Embeds clips by a network's encoder, whatever its back end, or by its embedding where it has none.

    Args:
        network: Of a method; it is frozen, and its encoder told which layers to give.
        all_layers: Give every layer of an encoder, from the input of its first block on, rather than what it ends in.
        pooling: What of an encoder's hidden states is taken: their ``mean`` over a clip's time, or that of its
            ``class`` tokens.

    Raises:
        ValueError: Layers or pooling are asked for, and the network has no encoder.
    """

    def __init__(
        self, network: nn.Module, *, all_layers: bool = False, pooling: Pooling | None = None
    ) -> None:
        super().__init__()
        self.pooling: Pooling = pooling or "mean"
        self.layers = "last"
        self.part: Any = network
        if isinstance(network, EncoderClassifier):
            self.layers = "all" if all_layers else "last"
            self.part = network.encoder
            self.part.layers = self.layers
        elif all_layers or pooling:
            option = "--layers" if all_layers else "--pooling"
            raise ValueError(
                f"{option}: {type(network).__name__} has one embedding: it is for networks of an encoder and a back"
                " end, as lightning_modules.networks.encoder_classifier.EncoderClassifier"
            )
        self.requires_grad_(False).eval()

    def forward(self, inputs: Tensor, length: Tensor | None = None) -> Tensor:
        """Embed clips, or windows of them.

        Args:
            inputs: What the network hears, (batch, ..., time).
            length: int64 (batch,), of each clip in steps of ``inputs``; None where all fill the batch.

        Returns:
            float32 (batch, layer, dim).

        Raises:
            ValueError: The network has no such embedding.
        """
        if isinstance(self.part, Encoder):
            return self._pooled(self.part(inputs, length)).float()
        output = self.part(inputs)
        if not isinstance(output, Output):
            raise ValueError(f"{type(self.part).__name__} gives no embedding: name a network that does")
        return output.embedding.flatten(1)[:, None].float()

    def _pooled(self, hidden: Hidden) -> Tensor:
        if self.pooling == "class":
            if hidden.class_tokens is None:
                raise ValueError(
                    f"--pooling class: {type(self.part).__name__} has no class tokens: take mean"
                )
            return hidden.class_tokens.mean(dim=2)
        within = torch.arange(hidden.states.shape[2], device=hidden.length.device) < hidden.length[:, None]
        weight = within / within.sum(dim=1, keepdim=True)  # (batch, time)
        return torch.einsum("bltd,bt->bld", hidden.states.float(), weight.to(hidden.states.device))
