"""Metrics: functions of scores and labels in `functional`, torchmetrics classes of the same here."""

from pkgutil import resolve_name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_modules.metrics.detection import (
        ActDCF,
        AreaUnderROC,
        Cllr,
        EqualErrorRate,
        MinCllr,
        MinDCF,
        MinTDCF,
        PartialAUC,
    )
    from lightning_modules.metrics.score_table import ScoreTable

__all__ = [
    "ActDCF",
    "AreaUnderROC",
    "Cllr",
    "EqualErrorRate",
    "MinCllr",
    "MinDCF",
    "MinTDCF",
    "PartialAUC",
    "ScoreTable",
]


def __getattr__(name: str) -> object:
    """Imports a class on first use: torchmetrics takes seconds, which the score command does without."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "score_table" if name == "ScoreTable" else "detection"
    return resolve_name(f"{__name__}.{home}:{name}")
