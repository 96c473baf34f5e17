"""Anomaly scores of embeddings: what is normal is learnt from normal clips of a machine, with or without domains."""

from lightning_modules.asd.backends.backend import Backend
from lightning_modules.asd.backends.domain_distances import DomainDistances
from lightning_modules.asd.backends.domain_normalization import (
    DomainNormalized,
    TransductiveDomainNormalized,
)
from lightning_modules.asd.backends.gaussian_mixture import GaussianMixture
from lightning_modules.asd.backends.k_means import KMeans
from lightning_modules.asd.backends.mahalanobis import Mahalanobis
from lightning_modules.asd.backends.nearest_neighbours import NearestNeighbours
from lightning_modules.asd.backends.oversampling import SMOTE, MemMix
from lightning_modules.asd.backends.rank_fusion import RankFusion
from lightning_modules.asd.backends.rescaling import LocalDensity, Rescaled

__all__ = [
    "SMOTE",
    "Backend",
    "DomainDistances",
    "DomainNormalized",
    "GaussianMixture",
    "KMeans",
    "LocalDensity",
    "Mahalanobis",
    "MemMix",
    "NearestNeighbours",
    "RankFusion",
    "Rescaled",
    "TransductiveDomainNormalized",
]
