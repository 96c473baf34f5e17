"""Anomaly detection as classification of a machine's normal sounds against proxy outliers."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.clips import Batch
from lightning_modules.asd.window_detector import WindowDetector
from lightning_modules.frontends.windows import random_windows
from lightning_modules.package.scorers import WindowScorer


class ProxyOutlierClassifier(WindowDetector):
    """Trains a classifier on random windows of normal clips (0) and proxy outliers (1); its logit is the score.

    Source: Primus et al. 2020, "Anomalous sound detection as a simple binary classification problem with careful
    selection of proxy outlier examples", sections 3 and 4.

    Args:
        network: (window, band, frame) -> `Output` with one logit, e.g. ``RFRResNet``.
        window: Frames of the training crop and of the scored windows, 8.2 s.
        windows_per_pass: Windows that are scored at a time.
        **settings: Of `WindowDetector`.
    """

    learns_from_outliers = True

    def __init__(
        self, network: nn.Module, *, window: int = 256, windows_per_pass: int = 64, **settings: Any
    ) -> None:
        super().__init__(network, window=window, windows_per_pass=windows_per_pass, **settings)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Returns the binary cross entropy of one random window a clip."""
        features, num_frames = self.features(batch)
        logits = self.network(random_windows(features, num_frames, self.window)).logits[:, 0]
        loss = F.binary_cross_entropy_with_logits(logits.float(), batch.target.float())
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=1)
        return loss

    def scorer(self) -> WindowScorer:
        """Returns front end, network and scoring rule alone, for an inference package."""
        return WindowScorer(self.network, self.frontend, **self.windows)
