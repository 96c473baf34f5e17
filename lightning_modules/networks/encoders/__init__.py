"""Pretrained encoders: stacks of blocks whose hidden states any back end takes."""

from lightning_modules.networks.encoders.ast import ASTEncoder
from lightning_modules.networks.encoders.beats import BEATs
from lightning_modules.networks.encoders.dasheng import Dasheng
from lightning_modules.networks.encoders.eat import EAT
from lightning_modules.networks.encoders.encoder import Encoder, Hidden, Stages
from lightning_modules.networks.encoders.lora import LoRA
from lightning_modules.networks.encoders.passt import PaSST
from lightning_modules.networks.encoders.speech import Sizes, SpeechEncoder
from lightning_modules.networks.encoders.time_mask import TimeMask

__all__ = [
    "EAT",
    "ASTEncoder",
    "BEATs",
    "Dasheng",
    "Encoder",
    "Hidden",
    "LoRA",
    "PaSST",
    "Sizes",
    "SpeechEncoder",
    "Stages",
    "TimeMask",
]
