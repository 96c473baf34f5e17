"""Distances from normal clips: the nearest of them, and that of Mahalanobis."""

import torch
from torch import Tensor

from lightning_modules.baselines.classifiers import nearest_neighbour


def nearest_normal(train: Tensor, test: Tensor) -> Tensor:
    """Distance from the nearest normal clip, between standardised statistics: float64 (clip,)."""
    return -nearest_neighbour(train, torch.zeros(len(train), dtype=torch.int64), test, 1)[:, 0]


def mahalanobis(train: Tensor, test: Tensor) -> Tensor:
    """Mahalanobis distance from the mean of normal clips: float64 (clip,).

    The covariance is shrunk as Ledoit and Wolf do (2004), since there may be fewer clips than statistics.
    """
    from sklearn.covariance import LedoitWolf

    fitted = LedoitWolf().fit(train.numpy())
    return torch.from_numpy(fitted.mahalanobis(test.numpy())).sqrt()
