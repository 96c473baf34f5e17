"""The least that is an encoder: two blocks on frames of a waveform, with a class token."""

import torch
from torch import Tensor, nn

from lightning_modules.networks.encoders.encoder import Encoder, Stages

FRAME = 400


class ProbedEncoder(Encoder):
    """Waveforms (batch, 1, time) -> tokens of frames of 400 samples.

    Attributes:
        calls: How often any of them was asked.
    """

    num_class_tokens = 1
    width = 8
    calls = 0

    def __init__(self, **settings) -> None:
        super().__init__(**settings)
        self.frames = nn.Linear(FRAME, self.width)
        self.token = nn.Parameter(torch.randn(1, 1, self.width))
        self.layers_of = nn.ModuleList(nn.Linear(self.width, self.width) for _ in range(2))
        self.norm = nn.LayerNorm(self.width)
        self.choose()

    @property
    def blocks(self):
        return list(self.layers_of)

    def encode(self, inputs: Tensor, length: Tensor | None, *, depth: int, last: bool) -> Stages:
        ProbedEncoder.calls += 1
        frames = inputs[:, 0].unfold(1, FRAME, FRAME)
        num = torch.full((len(inputs),), frames.shape[1]) if length is None else length // FRAME
        tokens = torch.cat([self.token.expand(len(frames), -1, -1), self.frames(frames)], dim=1)
        states = [tokens]
        for block in self.blocks[:depth]:
            states.append(states[-1] + block(states[-1] + states[-1][:, 1:2]).tanh())
        return Stages(states, self.norm(states[-1]) if last else None, num)
