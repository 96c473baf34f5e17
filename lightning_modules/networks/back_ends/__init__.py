"""Back ends: what classifies clips by the hidden states of any encoder."""

from lightning_modules.networks.back_ends.back_end import BackEnd
from lightning_modules.networks.back_ends.pooled_linear import PooledLinear

__all__ = ["BackEnd", "PooledLinear"]
