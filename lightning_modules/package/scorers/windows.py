"""Scores of windows of a clip's spectrogram, summed up to one."""

from typing import Literal

import torch
from torch import Tensor, nn

from lightning_modules.frontends.mel_decibel import MelDecibel
from lightning_modules.frontends.standardize import Standardize
from lightning_modules.frontends.windows import place_windows, take_windows
from lightning_modules.networks.inference import is_compiled
from lightning_modules.networks.shared_windows import SharedWindows
from lightning_modules.package.scorers.scorer import Scorer, at_least_float32

Aggregation = Literal["mean", "median", "max", "std"]


class WindowScorer(Scorer):
    """Log odds of being an outlier, of windows of a clip's spectrogram, summed up.

    Args:
        network: (window, band, frame) -> `Output` with one logit.
        frontend: (batch, time) and lengths -> (batch, band, frame), e.g. ``MelDecibel``.
        window: Frames of a window.
        hop: Frames from window to window.
        aggregation: How a clip's windows become its score.
        windows_per_pass: Windows that are scored at a time, which bounds memory; graphs score all at once.
    """

    over_windows = "max"
    of_windows = "log odds of being an outlier"
    frontend: MelDecibel

    def __init__(
        self,
        network: nn.Module,
        frontend: MelDecibel,
        *,
        window: int,
        hop: int = 1,
        aggregation: Aggregation = "mean",
        windows_per_pass: int = 64,
    ) -> None:
        super().__init__(network, frontend)
        self.window, self.hop, self.windows_per_pass = window, hop, windows_per_pass
        self.aggregation: Aggregation = aggregation
        self.meaning = f"{self.of_windows}, {aggregation} of a clip's windows: higher = more anomalous"
        self.min_samples = (window - 1) * frontend.hop_length

    def forward(
        self, waveform: Tensor, length: Tensor | None = None, instance: Tensor | None = None
    ) -> Tensor:
        """Score clips.

        Args:
            waveform: (batch, channel, time) in [-1, 1], of which the first channel is heard.
            length: int64 (batch,), samples of each clip before padding; None where all are whole.
            instance: int64 (batch,), index of the machine instance, for scorers that tell instances apart.

        Returns:
            float64 (batch,).

        Raises:
            ValueError: For clips shorter than a window.
        """
        if waveform.shape[-1] < self.min_samples:
            raise ValueError(
                f"clip of {waveform.shape[-1]} samples: expected at least the {self.min_samples} of a window; leave"
                " it out or repeat it"
            )
        features = self.features(waveform, length)
        if torch.compiler.is_exporting():  # a graph has neither loops nor sizes that depend on lengths
            windows = features.unfold(-1, self.window, self.hop).transpose(1, 2)
            scores = at_least_float32(self.window_scores(windows.flatten(0, 1))).view(windows.shape[:2])
            return summary(scores.double(), self.aggregation)
        clip, first = place_windows(self.num_frames(features, length), self.window, self.hop)
        if (shared := self.shared(features, first)) is not None:
            parts = zip(clip.split(self.windows_per_pass), first.split(self.windows_per_pass), strict=True)
            scores = [shared.outputs(*part).logits[:, 0] for part in parts]
        else:
            scores = [
                self.window_scores(
                    take_windows(features, clip[part], first[part], self.window),
                    None if instance is None else instance[clip[part]],
                )
                for part in torch.arange(len(clip), device=clip.device).split(self.windows_per_pass)
            ]
        return aggregate(at_least_float32(torch.cat(scores)), clip, len(features), self.aggregation)

    def shared(self, features: Tensor, first: Tensor) -> SharedWindows | None:
        """What the network computes of all windows together, where it says so by `first_layers` and it pays."""
        layers = getattr(self.network, "first_layers", None)
        if layers is None or self.training or is_compiled(self.network):
            return None
        if not SharedWindows.pays(layers, features, first, self.window):
            return None
        return SharedWindows(layers, features, first, self.window)

    def features(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Returns (batch, band, frame) of the first channel."""
        return self.frontend(waveform[:, 0], length)

    def num_frames(self, features: Tensor, length: Tensor | None) -> Tensor:
        """Returns int64 (batch,), the frames of each clip among its padded features."""
        if length is None:
            return torch.full((len(features),), features.shape[-1], device=features.device)
        return self.frontend.num_frames(length)

    def window_scores(self, windows: Tensor, instance: Tensor | None = None) -> Tensor:
        """Returns the scores (window,) of windows (window, band, frame) of the machine instances (window,)."""
        return self.network(windows).logits[:, 0]


class ReconstructionScorer(WindowScorer):
    """Mean squared error of an autoencoder, of windows of a clip's spectrogram, summed up.

    Args:
        network: Reconstructs windows of band x frame values, flattened band by band.
        frontend: As in `WindowScorer`.
        standardize: Scaling of every band; None leaves decibels.
        window: Frames of a window.
        hop: Frames from window to window.
        aggregation: How a clip's windows become its score.
        windows_per_pass: Windows that are scored at a time.
    """

    of_windows = "mean squared error of the reconstruction"

    def __init__(
        self,
        network: nn.Module,
        frontend: MelDecibel,
        standardize: Standardize | None = None,
        *,
        window: int,
        hop: int = 1,
        aggregation: Aggregation = "mean",
        windows_per_pass: int = 64,
    ) -> None:
        places = {"window": window, "hop": hop, "windows_per_pass": windows_per_pass}
        super().__init__(network, frontend, aggregation=aggregation, **places)
        self.standardize = standardize

    def features(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Returns (batch, band, frame), scaled where asked for."""
        features = super().features(waveform, length)
        return features if self.standardize is None else self.standardize(features)

    def window_scores(self, windows: Tensor, instance: Tensor | None = None) -> Tensor:
        """Returns the mean squared error of every window."""
        windows = windows.flatten(1)
        return at_least_float32(self.network(windows) - windows).square().mean(1)


def aggregate(scores: Tensor, clip: Tensor, num_clips: int, how: Aggregation) -> Tensor:
    """Sums up the window scores of each clip.

    Args:
        scores: (window,).
        clip: int64 (window,), ascending, which clip a window is of; every clip has one at least.
        num_clips: Number of clips.
        how: Mean, median (the lower of two), maximum or standard deviation of a clip's windows.

    Returns:
        float64 (num_clips,).
    """
    counts = clip.bincount(minlength=num_clips)
    place = torch.arange(len(clip), device=clip.device) - (counts.cumsum(0) - counts)[clip]
    table = torch.full((num_clips, int(counts.max())), torch.nan, dtype=torch.float64, device=scores.device)
    table[clip, place] = scores.double()
    return summary(table, how)


def summary(table: Tensor, how: Aggregation) -> Tensor:
    """Sums up the rows of (clip, window), NaN where a clip has none; see `aggregate`."""
    match how:
        case "mean":
            return table.nanmean(1)
        case "median":
            return table.nanmedian(1).values
        case "max":
            return table.nan_to_num(-torch.inf).amax(1)
        case "std":
            return (table - table.nanmean(1, keepdim=True)).square().nanmean(1).sqrt()
