"""Detection metrics as functions of scores (higher = positive) and labels; fractions in [0, 1], float64.

Positive is bona fide in spoofing detection and anomalous in anomalous sound detection.
"""

from lightning_modules.metrics.functional.bootstrap import bootstrap_interval, bootstrap_intervals
from lightning_modules.metrics.functional.calibration import Calibration, fit_calibration, min_cllr
from lightning_modules.metrics.functional.detection_cost import act_dcf, cllr, min_dcf, min_dcf_of_curve
from lightning_modules.metrics.functional.error_rates import (
    DetCurve,
    det_curve,
    eer_of_curve,
    equal_error_rate,
    looks_inverted,
)
from lightning_modules.metrics.functional.roc import RocCurve, auc, partial_auc, roc_curve, top_negatives_auc
from lightning_modules.metrics.functional.tandem import (
    AsvErrorRates,
    asv_error_rates,
    min_tdcf,
    min_tdcf_of_curve,
)

__all__ = [
    "AsvErrorRates",
    "Calibration",
    "DetCurve",
    "RocCurve",
    "act_dcf",
    "asv_error_rates",
    "auc",
    "bootstrap_interval",
    "bootstrap_intervals",
    "cllr",
    "det_curve",
    "eer_of_curve",
    "equal_error_rate",
    "fit_calibration",
    "looks_inverted",
    "min_cllr",
    "min_dcf",
    "min_dcf_of_curve",
    "min_tdcf",
    "min_tdcf_of_curve",
    "partial_auc",
    "roc_curve",
    "top_negatives_auc",
]
