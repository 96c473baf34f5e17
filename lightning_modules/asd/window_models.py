"""Detectors that model short windows of normal sound: the autoencoder and the normalizing flow."""

from abc import ABC
from typing import Any

import torch
from torch import Tensor

from datamodules.clips import Batch
from lightning_modules.asd.many_steps import ManyStepsPerBatch
from lightning_modules.asd.window_detector import WindowDetector
from lightning_modules.frontends import MelDecibel, Standardize
from lightning_modules.frontends.windows import place_windows, take_windows
from lightning_modules.metrics.row_table import RowTable
from lightning_modules.networks import MAF, Autoencoder
from lightning_modules.package.scorers import ReconstructionScorer


class WindowModel(ManyStepsPerBatch, WindowDetector, ABC):
    """Minimises the score of all windows of normal clips.

    Args:
        network: The model of a window.
        window: Frames of a window.
        windows_per_step: Windows of an optimizer step.
        standardize: Scaling of every band to mean 0 and variance 1 on the training clips; null leaves decibels.
        **settings: Of `WindowDetector`.
    """

    def __init__(
        self,
        network: Autoencoder | MAF,
        *,
        window: int,
        windows_per_step: int = 512,
        standardize: Standardize | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(network, window=window, **settings)
        self.automatic_optimization = False
        self.windows_per_step = windows_per_step
        self.standardize = standardize

    @torch.no_grad()
    def on_fit_start(self) -> None:
        """Measures the scale of the features, once a run."""
        if self.standardize is None or self.standardize.is_fitted:
            return
        table = RowTable().to(self.device)
        for batch in self.reference_batches():
            decibels = self.frontend(batch.waveform[:, 0], batch.length)
            moments = self.standardize.moments(decibels, self.frontend.num_frames(batch.length))
            table.update(moments, batch.index)
        self.standardize.fit(table.gathered()[1])

    def training_windows(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns (window, band, frame) and the instance of each, int64 (window,)."""
        features, num_frames = self.features(batch)
        clip, first = place_windows(num_frames, self.window, self.hop)
        return take_windows(features, clip, first, self.window), self.instance_index(batch)[clip]

    def window_losses(self, windows: Tensor, instance: Tensor) -> Tensor:
        """Returns the scores, which are what training makes small."""
        return self.scorer().window_scores(windows, instance)


class AutoencoderDetector(WindowModel):
    """Scores by the reconstruction error of an autoencoder, Primus et al. 2020, section 4.3.1.

    Args:
        network: Reconstructs windows of band x frame values, flattened band by band.
        window: Frames of a window.
        **settings: Of `WindowModel`.
    """

    def __init__(self, network: Autoencoder, *, window: int = 5, **settings: Any) -> None:
        super().__init__(network, window=window, **settings)

    def scorer(self) -> ReconstructionScorer:
        """Returns front end, network and scoring rule alone, for an inference package."""
        return ReconstructionScorer(self.network, self.frontend, self.standardize, **self.windows)


class FlowDetector(WindowModel):
    """Scores by the negative log-likelihood of a flow conditioned on the machine instance.

    Source: Primus et al. 2020, section 4.3.2.

    Args:
        network: Density of windows of band x frame values, flattened band by band, given an instance.
        window: Frames of a window.
        hop: Frames from window to window, in training too.
        marginal: Score by the likelihood under all instances alike, as the published code does, rather than under
            the clip's own, as the paper says.
        **settings: Of `WindowModel`.
    """

    network: MAF

    def __init__(
        self, network: MAF, *, window: int = 4, hop: int = 4, marginal: bool = False, **settings: Any
    ) -> None:
        super().__init__(network, window=window, hop=hop, **settings)
        self.marginal = marginal

    def setup(self, stage: str) -> None:
        """Makes sure that the flow has a condition for every machine instance.

        Raises:
            ValueError: It has fewer.
        """
        super().setup(stage)
        if len(self.instances) > self.network.num_conditions:
            raise ValueError(
                f"the data holds {len(self.instances)} machine instances, the flow tells"
                f" {self.network.num_conditions} apart: set model.network.num_conditions={len(self.instances)}"
            )

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Refuses clips shorter than a window and, if their own likelihood is asked for, of unknown instances."""
        if not self.marginal:
            self.check_instances(batch)
        return super().on_before_batch_transfer(batch, dataloader_idx)

    def scorer(self) -> "FlowScorer":
        """Returns front end, flow and scoring rule; training sees the likelihood of a clip's own instance."""
        marginal = self.marginal and not self.training
        num_marginal = len(self.instances) if marginal else 0
        return FlowScorer(
            self.network, self.frontend, self.standardize, num_marginal=num_marginal, **self.windows
        )


class FlowScorer(ReconstructionScorer):
    """Negative log-likelihood of a flow, in nats, of windows of a clip's spectrogram, summed up.

    Args:
        network: Density of windows of band x frame values, flattened band by band, given an instance.
        frontend: As in `WindowScorer`.
        standardize: As in `ReconstructionScorer`.
        num_marginal: Of so many instances alike the likelihood is taken; 0 takes that of the clip's own.
        **settings: Of `WindowScorer`.
    """

    of_windows = "negative log-likelihood"
    obstacle = "a score depends on the machine instances of the training"
    network: MAF

    def __init__(
        self,
        network: MAF,
        frontend: MelDecibel,
        standardize: Standardize | None = None,
        *,
        num_marginal: int = 0,
        **settings: Any,
    ) -> None:
        super().__init__(network, frontend, standardize, **settings)
        self.num_marginal = num_marginal

    def window_scores(self, windows: Tensor, instance: Tensor | None = None) -> Tensor:
        """Returns the negative log-likelihood of every window, in nats."""
        windows = windows.flatten(1)
        if self.num_marginal:
            known = torch.arange(self.num_marginal, device=windows.device)
            return -self.network.marginal_log_prob(windows, known)
        assert instance is not None
        return -self.network.log_prob(windows, instance)
