"""What detectors share that look at windows of a spectrogram."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from datamodules.clips import Batch
from lightning_modules.asd.detector import AnomalousSoundDetector
from lightning_modules.frontends import MelDecibel
from lightning_modules.package.scorers import WindowScorer
from lightning_modules.package.scorers.windows import Aggregation

_OF_OVERLAY = 48  # frames of asd_short_clips.yaml


class WindowDetector(AnomalousSoundDetector, ABC):
    """Scores windows of consecutive frames; a method adds a `training_step` and a `scorer`.

    Args:
        network: The method's network.
        frontend: (batch, time) and lengths -> (batch, band, frame) features, on the training device.
        window: Frames of a window.
        hop: Frames from window to window in scoring.
        aggregation: How a clip's windows become its score.
        windows_per_pass: Windows that are scored at a time, which bounds memory.
        **settings: Of `AnomalousSoundDetector`.
    """

    def __init__(
        self,
        network: nn.Module,
        frontend: MelDecibel | None = None,
        *,
        window: int,
        hop: int = 1,
        aggregation: Aggregation = "mean",
        windows_per_pass: int = 512,
        **settings: Any,
    ) -> None:
        super().__init__(network, frontend if frontend is not None else MelDecibel(), **settings)
        self.window = window
        self.hop = hop
        self.aggregation: Aggregation = aggregation
        self.windows_per_pass = windows_per_pass

    @abstractmethod
    def scorer(self) -> WindowScorer:
        """Returns front end, network and scoring rule; it is called with the clips' machine instances."""

    @property
    def windows(self) -> dict[str, Any]:
        """How a scorer places windows and sums them up."""
        places = {"window": self.window, "hop": self.hop, "windows_per_pass": self.windows_per_pass}
        return {**places, "aggregation": self.aggregation}

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Refuses clips shorter than a window, while their lengths are still on the CPU."""
        num_frames = self.frontend.num_frames(batch.length)
        if (shortest := int(num_frames.min())) < self.window:
            overlay = ", or add configs/overlays/asd_short_clips.yaml" if shortest >= _OF_OVERLAY else ""
            raise ValueError(
                f"clip {batch.key[int(num_frames.argmin())]} has {shortest} frames, fewer than a window of"
                f" {self.window}: set model.window to at most {shortest}{overlay}"
            )
        return batch

    def features(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns (batch, band, frame) features of the first channel and int64 (batch,) frames of each clip."""
        features = self.scorer().features(batch.waveform, batch.length)
        return features, self.frontend.num_frames(batch.length)
