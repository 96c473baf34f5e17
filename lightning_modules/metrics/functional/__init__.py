"""Detection metrics as functions of scores (higher = positive) and labels; fractions in [0, 1], float64.

Positive is bona fide in spoofing detection and anomalous in anomalous sound detection.
"""

from lightning_modules.metrics.functional.agnostic_cost import (
    ASVSPOOF5_COSTS,
    VerificationCosts,
    act_a_dcf,
    min_a_dcf,
)
from lightning_modules.metrics.functional.bootstrap import bootstrap_interval, bootstrap_intervals
from lightning_modules.metrics.functional.calibration import Calibration, fit_calibration, min_cllr
from lightning_modules.metrics.functional.detection_cost import act_dcf, cllr, min_dcf, min_dcf_of_curve
from lightning_modules.metrics.functional.error_rates import (
    DetCurve,
    EerRule,
    det_curve,
    eer_of_curve,
    equal_error_rate,
    looks_inverted,
)
from lightning_modules.metrics.functional.roc import RocCurve, auc, partial_auc, roc_curve, top_negatives_auc
from lightning_modules.metrics.functional.score_fusion import fuse_verification
from lightning_modules.metrics.functional.several_sets import mean_eer, pooled_eer, spoof_rejection_rate
from lightning_modules.metrics.functional.tandem import (
    ASVSPOOF5_ASV,
    AsvErrorRates,
    asv_error_rates,
    min_tdcf,
    min_tdcf_of_curve,
)
from lightning_modules.metrics.functional.tandem_eer import (
    TandemEer,
    tandem_eer,
    tandem_eer_of_curves,
    tandem_eer_path,
)
from lightning_modules.metrics.functional.verification import (
    TrialKind,
    VerificationCurve,
    verification_curve,
)

__all__ = [
    "ASVSPOOF5_ASV",
    "ASVSPOOF5_COSTS",
    "AsvErrorRates",
    "Calibration",
    "DetCurve",
    "EerRule",
    "RocCurve",
    "TandemEer",
    "TrialKind",
    "VerificationCosts",
    "VerificationCurve",
    "act_a_dcf",
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
    "fuse_verification",
    "looks_inverted",
    "mean_eer",
    "min_a_dcf",
    "min_cllr",
    "min_dcf",
    "min_dcf_of_curve",
    "min_tdcf",
    "min_tdcf_of_curve",
    "partial_auc",
    "pooled_eer",
    "roc_curve",
    "spoof_rejection_rate",
    "tandem_eer",
    "tandem_eer_of_curves",
    "tandem_eer_path",
    "top_negatives_auc",
    "verification_curve",
]
