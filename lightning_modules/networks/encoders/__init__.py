"""Pretrained encoders: stacks of blocks whose hidden states any back end takes."""

from lightning_modules.networks.encoders.encoder import Encoder, Hidden, Stages

__all__ = ["Encoder", "Hidden", "Stages"]
