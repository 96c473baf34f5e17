"""A transformer of two blocks that hears waveforms, and its counterpart whose attention calls no layer."""

import torch
from torch import nn

from lightning_modules.networks.encoders import Encoder, Stages


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.q_proj, self.v_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.norm = nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(0.5)

    def forward(self, states):
        query, value = self.q_proj(states), self.v_proj(states)
        states = states + self.dropout(torch.softmax(query @ states.mT, dim=-1) @ value)
        return self.norm(states.mT).mT.contiguous()


class Deaf(Block):
    """Reads the weight past the layer, as WavLM of transformers does."""

    def forward(self, states):
        value = nn.functional.linear(states, self.v_proj.weight, self.v_proj.bias)
        return self.norm((self.q_proj(states) + value).mT).mT


class SmallEncoder(Encoder):
    width = 8
    shortest = (1, 8)

    def __init__(self, block=Block, **settings):
        super().__init__(**settings)
        self.patches = nn.Conv1d(1, 8, 8, stride=8)
        self.layers_of_blocks = nn.ModuleList(block(8) for _ in range(2))
        self.norm = nn.LayerNorm(8)
        self.choose()

    @property
    def blocks(self):
        return self.layers_of_blocks

    @property
    def after_blocks(self):
        return (self.norm,)

    def encode(self, inputs, length, *, depth, last):
        states = [self.patches(inputs).mT.contiguous()]
        for block in self.blocks[:depth]:
            states.append(block(states[-1]))
        length = torch.full((len(inputs),), states[0].shape[1]) if length is None else length // 8
        return Stages(states, self.norm(states[-1]) if last else None, length)
