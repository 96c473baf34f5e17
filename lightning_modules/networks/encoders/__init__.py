"""Pretrained encoders: stacks of blocks whose hidden states any back end takes."""

from lightning_modules.networks.encoders.encoder import Encoder, Hidden, Stages
from lightning_modules.networks.encoders.lora import LoRA

__all__ = ["Encoder", "Hidden", "LoRA", "Stages"]
