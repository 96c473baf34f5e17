"""Pure torch networks; none knows which loss or data set trains it."""

from lightning_modules.networks.aasist import AASIST
from lightning_modules.networks.autoencoder import Autoencoder
from lightning_modules.networks.lcnn import LCNN
from lightning_modules.networks.maf import MAF
from lightning_modules.networks.output import Output
from lightning_modules.networks.rfr_resnet import RFRResNet

__all__ = ["AASIST", "LCNN", "MAF", "Autoencoder", "Output", "RFRResNet"]
