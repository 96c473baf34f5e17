"""Detection metrics as functions of scores (higher = positive) and labels; fractions in [0, 1], float64.

Positive is bona fide in spoofing detection and anomalous in anomalous sound detection.
"""

from lightning_modules.metrics.functional.bootstrap import bootstrap_interval
from lightning_modules.metrics.functional.calibration import Calibration, fit_calibration, min_cllr
from lightning_modules.metrics.functional.detection_cost import act_dcf, cllr, min_dcf
from lightning_modules.metrics.functional.error_rates import (
    DetCurve,
    det_curve,
    equal_error_rate,
    looks_inverted,
)
from lightning_modules.metrics.functional.roc import RocCurve, auc, partial_auc, roc_curve, top_negatives_auc
from lightning_modules.metrics.functional.tandem import AsvErrorRates, asv_error_rates, min_tdcf

__all__ = [
    "AsvErrorRates",
    "Calibration",
    "DetCurve",
    "RocCurve",
    "act_dcf",
    "asv_error_rates",
    "auc",
    "bootstrap_interval",
    "cllr",
    "det_curve",
    "equal_error_rate",
    "fit_calibration",
    "looks_inverted",
    "min_cllr",
    "min_dcf",
    "min_tdcf",
    "partial_auc",
    "roc_curve",
    "top_negatives_auc",
]
