"""Pretrained encoders: stacks of blocks whose hidden states any back end takes."""

from lightning_modules.networks.encoders.encoder import Encoder, Hidden, Stages
from lightning_modules.networks.encoders.lora import LoRA
from lightning_modules.networks.encoders.speech import Sizes, SpeechEncoder
from lightning_modules.networks.encoders.time_mask import TimeMask

__all__ = ["Encoder", "Hidden", "LoRA", "Sizes", "SpeechEncoder", "Stages", "TimeMask"]
