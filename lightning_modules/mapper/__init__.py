"""The mapper: control values from a handful of examples, learnt and used live, as Wekinator does it."""

from lightning_modules.mapper.models import NearestNeighbours, Perceptron

__all__ = ["NearestNeighbours", "Perceptron"]
