"""Detectors that score windows of a clip's spectrogram and sum them up."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from datamodules.clips import Batch
from lightning_modules.asd.detector import AnomalousSoundDetector
from lightning_modules.asd.windows import Aggregation, aggregate, place_windows, take_windows
from lightning_modules.frontends import MelDecibel


class WindowDetector(AnomalousSoundDetector, ABC):
    """Scores windows of consecutive frames; a method adds a `training_step` and `window_scores`.

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
        super().__init__(**settings)
        self.network = network
        self.frontend = frontend if frontend is not None else MelDecibel()
        self.window = window
        self.hop = hop
        self.aggregation: Aggregation = aggregation
        self.windows_per_pass = windows_per_pass

    @abstractmethod
    def window_scores(self, windows: Tensor, instance: Tensor) -> Tensor:
        """Scores windows.

        Args:
            windows: (window, band, frame).
            instance: int64 (window,), index of the machine instance; -1 where it is unknown.

        Returns:
            (window,), higher = more anomalous.
        """

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Refuses clips shorter than a window, while their lengths are still on the CPU."""
        num_frames = self.frontend.num_frames(batch.length)
        if (shortest := int(num_frames.min())) < self.window:
            raise ValueError(
                f"clip {batch.key[int(num_frames.argmin())]} has {shortest} frames, fewer than a window of"
                f" {self.window}: set model.window to at most {shortest}, or add configs/overlays/asd_short_clips.yaml"
            )
        return batch

    def features(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns (batch, band, frame) features of the first channel and int64 (batch,) frames of each clip."""
        features = self.frontend(batch.waveform[:, 0], batch.length)
        return features, self.frontend.num_frames(batch.length)

    def score(self, batch: Batch) -> Tensor:
        """Returns one float64 score a clip, (batch,)."""
        features, num_frames = self.features(batch)
        clip, first = place_windows(num_frames, self.window, self.hop)
        instance = self.instance_index(batch)[clip]
        scores = [
            self.window_scores(take_windows(features, clip[part], first[part], self.window), instance[part])
            for part in torch.arange(len(clip), device=clip.device).split(self.windows_per_pass)
        ]
        return aggregate(torch.cat(scores).float(), clip, len(features), self.aggregation)
