"""Pure torch networks; none knows which loss or data set trains it."""

from lightning_modules.networks.output import Output

__all__ = ["Output"]
