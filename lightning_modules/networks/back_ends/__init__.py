"""Back ends: what classifies clips by the hidden states of any encoder."""

from lightning_modules.networks.back_ends.aasist import AASISTBackEnd
from lightning_modules.networks.back_ends.back_end import BackEnd
from lightning_modules.networks.back_ends.mhfa import MHFA
from lightning_modules.networks.back_ends.nes2net import Nes2NetX
from lightning_modules.networks.back_ends.pooled_linear import PooledLinear
from lightning_modules.networks.back_ends.sls import SLS

__all__ = ["MHFA", "SLS", "AASISTBackEnd", "BackEnd", "Nes2NetX", "PooledLinear"]
