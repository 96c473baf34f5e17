"""Pure torch networks; none knows which loss or data set trains it."""

from lightning_modules.networks.aasist import AASIST
from lightning_modules.networks.lcnn import LCNN
from lightning_modules.networks.output import Output

__all__ = ["AASIST", "LCNN", "Output"]
