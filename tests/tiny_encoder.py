"""An encoder of two small blocks, for what stands on encoders."""

import torch
from torch import Tensor, nn

from lightning_modules.networks.encoders.encoder import Encoder, Layers, Rows, Stages, Trainable

HOP = 320  # samples of a time step


class TinyEncoder(Encoder):
    """Hears waveforms (batch, 1, time)."""

    shortest = (1, HOP)

    def __init__(
        self,
        width: int = 12,
        *,
        class_tokens: int = 0,
        layers: Layers = "last",
        trainable: Trainable = "all",
        rows: Rows = "mean",
    ) -> None:
        super().__init__(layers=layers, trainable=trainable, rows=rows)
        self.width, self.num_class_tokens = width, class_tokens
        self.patches = nn.Linear(HOP, width)
        self.tokens = nn.Parameter(torch.randn(class_tokens, width))
        self.layers_ = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.norm = nn.LayerNorm(width)
        self.choose()

    @property
    def blocks(self) -> nn.ModuleList:
        return self.layers_

    @property
    def after_blocks(self) -> tuple[nn.Module]:
        return (self.norm,)

    def encode(self, inputs: Tensor, length: Tensor | None, *, depth: int, last: bool) -> Stages:
        steps = inputs.shape[-1] // HOP
        if length is None:
            length = torch.full((len(inputs),), inputs.shape[-1])
        patches = self.patches(inputs[:, 0, : steps * HOP].unflatten(1, (steps, HOP)))
        states = [torch.cat([self.tokens.expand(len(inputs), -1, -1), patches], dim=1)]
        for block in self.layers_[:depth]:
            states.append(states[-1] + torch.tanh(block(states[-1])))
        return Stages(states, self.norm(states[-1]) if last else None, length // HOP)
