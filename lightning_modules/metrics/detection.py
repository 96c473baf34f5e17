"""Torchmetrics classes of the detection metrics: target 1 = bona fide or anomalous, 0 = spoofed or normal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics.utilities import rank_zero_warn

from lightning_modules.metrics import functional
from lightning_modules.metrics.asv_scores import read_asv_scores
from lightning_modules.metrics.functional import AsvErrorRates
from lightning_modules.metrics.score_table import ScoreTable


class _DetectionMetric(ScoreTable):
    """A number computed from a split's scores and labels; lower is better unless a class says otherwise.

    Attributes:
        value: The metric as a function of (trials,) scores and labels.
    """

    higher_is_better = False
    is_differentiable = False
    value: ClassVar[Callable[..., Tensor]]

    def compute(self) -> Tensor:
        """Returns the metric as a float64 scalar; NaN, with a warning, where it is undefined.

        Undefined is a split with one class only, as in a sanity check of two batches, or scores of a
        collapsed network: neither should end a training run.

        Raises:
            ValueError: A target is neither 0 nor 1.
        """
        _, scores, target = super().compute()
        if bool(((target != 0) & (target != 1)).any()):
            unknown = int(((target != 0) & (target != 1)).sum())
            raise ValueError(
                f"{unknown} of {len(target)} targets are neither 1 (bona fide, anomalous) nor 0 (spoofed, normal)"
            )
        try:
            return self.value(scores, target == 1).to(scores.device)
        except ValueError as reason:
            rank_zero_warn(f"{type(self).__name__} is undefined, logged as NaN: {reason}")
            return scores.new_tensor(torch.nan)


class EqualErrorRate(_DetectionMetric):
    """Equal error rate, a fraction in [0, 1]; see `functional.equal_error_rate`."""

    def value(self, scores: Tensor, is_positive: Tensor) -> Tensor:
        """See the class."""
        return functional.equal_error_rate(scores, is_positive)[0]


class MinTDCF(_DetectionMetric):
    """Minimum normalised tandem detection cost; see `functional.min_tdcf`.

    Args:
        asv_scores: The organisers' ASV score file or folder (see `asv_scores.read_asv_scores`), of the same
            partition as the scores, or error rates known already.
        revision: 2019 or 2021.
    """

    def __init__(
        self, asv_scores: str | Path | AsvErrorRates, *, revision: int = 2019, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        known = isinstance(asv_scores, AsvErrorRates)
        self.asv = asv_scores if known else read_asv_scores(asv_scores).error_rates()
        self.revision = revision
        self.asv.costs(revision=revision)  # a wrong revision or wrong rates show before the first epoch

    def value(self, scores: Tensor, is_positive: Tensor) -> Tensor:
        """See the class."""
        return functional.min_tdcf(scores, is_positive, asv=self.asv, revision=self.revision)


class MinDCF(_DetectionMetric):
    """Minimum normalised detection cost in [0, 1]; see `functional.min_dcf`."""

    value = staticmethod(functional.min_dcf)


class ActDCF(_DetectionMetric):
    """Normalised detection cost at the Bayes threshold; see `functional.act_dcf`."""

    value = staticmethod(functional.act_dcf)


class Cllr(_DetectionMetric):
    """Cost of log likelihood ratios in bits; see `functional.cllr`."""

    value = staticmethod(functional.cllr)


class MinCllr(_DetectionMetric):
    """Cost of the scores' best monotone calibration, in bits; see `functional.min_cllr`."""

    value = staticmethod(functional.min_cllr)


# torchmetrics has both areas too, but passes scores outside [0, 1] through a sigmoid in float32: large ones
# become ties, and a good detector gets 0.5.
class AreaUnderROC(_DetectionMetric):
    """Area under the ROC, a fraction in [0, 1]; see `functional.auc`."""

    higher_is_better = True
    value = staticmethod(functional.auc)


class PartialAUC(_DetectionMetric):
    """Standardised partial area under the ROC, a fraction in [0, 1]; see `functional.partial_auc`.

    Args:
        max_fpr: False-positive rate where the area ends, in (0, 1].
    """

    higher_is_better = True

    def __init__(self, *, max_fpr: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_fpr = max_fpr
        # a wrong one shows before the first epoch
        functional.partial_auc([0, 1], [False, True], max_fpr=max_fpr)

    def value(self, scores: Tensor, is_positive: Tensor) -> Tensor:
        """See the class."""
        return functional.partial_auc(scores, is_positive, max_fpr=self.max_fpr)
