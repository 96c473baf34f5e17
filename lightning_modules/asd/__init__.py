"""Anomalous sound detection: what a machine sounds like when something is wrong, learnt from normal sounds."""

from lightning_modules.asd.embeddings import EmbeddingDetector
from lightning_modules.asd.ensemble import FrontEndEnsemble
from lightning_modules.asd.front_ends import FrontEnds
from lightning_modules.asd.proxy_outliers import ProxyOutlierClassifier
from lightning_modules.asd.window_models import AutoencoderDetector, FlowDetector

__all__ = [
    "AutoencoderDetector",
    "EmbeddingDetector",
    "FlowDetector",
    "FrontEndEnsemble",
    "FrontEnds",
    "ProxyOutlierClassifier",
]
