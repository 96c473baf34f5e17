"""Detection metrics as functions of scores (higher = bona fide) and labels; fractions in [0, 1], float64."""

from lightning_modules.metrics.functional.bootstrap import bootstrap_interval
from lightning_modules.metrics.functional.detection_cost import act_dcf, cllr, min_dcf
from lightning_modules.metrics.functional.error_rates import (
    DetCurve,
    det_curve,
    equal_error_rate,
    looks_inverted,
)
from lightning_modules.metrics.functional.tandem import AsvErrorRates, asv_error_rates, min_tdcf

__all__ = [
    "AsvErrorRates",
    "DetCurve",
    "act_dcf",
    "asv_error_rates",
    "bootstrap_interval",
    "cllr",
    "det_curve",
    "equal_error_rate",
    "looks_inverted",
    "min_dcf",
    "min_tdcf",
]
