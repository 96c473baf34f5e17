"""From waveforms to scores: what is left of a Lightning module when training is over.

The arguments of a scorer are its attributes, of the same names: a package keeps modules by their class paths and
arguments, and all else as plain values.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn


class Scorer(nn.Module):
    """Front end, network and scoring rule as one module: (batch, channel, time) -> (batch,) or (batch, class).

    Args:
        network: Maps features, or waveforms, to an `Output`.
        frontend: Maps waveforms to features; None feeds the waveforms themselves.

    Attributes:
        meaning: What a score says, in words.
        heads: Head -> class names by index of (batch, class) scores, heads side by side; empty for (batch,).
        min_samples: Samples of the shortest clip that has a score.
    """

    meaning: str
    heads: Mapping[str, Sequence[str]]
    min_samples = 1

    def __init__(self, network: nn.Module, frontend: nn.Module | None = None) -> None:
        super().__init__()
        self.network, self.frontend = network, frontend
        self.heads = {}


class SpoofingScorer(Scorer):
    """Logit of bona fide speech, of networks with two logits or with one."""

    meaning = "logit of bona fide speech: higher = more likely bona fide, lower = more likely spoofed"

    def forward(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Score clips.

        Args:
            waveform: (batch, 1, time) in [-1, 1].
            length: Not needed, padding is heard.

        Returns:
            float32 (batch,).
        """
        features = waveform if self.frontend is None else self.frontend(waveform)
        return self.network(features).logits[:, -1].float()


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

    frontend: nn.Module

    def __init__(
        self,
        network: nn.Module,
        frontend: nn.Module,
        *,
        window: int,
        hop: int = 1,
        aggregation: Literal["mean", "median", "max", "std"] = "mean",
        windows_per_pass: int = 64,
    ) -> None:
        super().__init__(network, frontend)
        self.window, self.hop, self.windows_per_pass = window, hop, windows_per_pass
        self.aggregation = aggregation
        self.meaning = (
            f"log odds of being an outlier, {aggregation} of a clip's windows: higher = more anomalous"
        )
        self.min_samples = (window - 1) * frontend.hop_length  # pyright: ignore[reportOperatorIssue]

    def forward(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Score clips.

        Args:
            waveform: (batch, channel, time) in [-1, 1], of which the first channel is heard.
            length: int64 (batch,), samples of each clip before padding; None where all are whole.

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
        features = self.frontend(waveform[:, 0], length)
        windows = features.unfold(-1, self.window, self.hop)  # (batch, band, window, frame)
        num_clips, _, num_windows, _ = windows.shape
        scores = self._logits(windows.transpose(1, 2).flatten(0, 1)).view(num_clips, num_windows).double()
        if length is not None:
            end = torch.arange(num_windows, device=scores.device) * self.hop + self.window
            own = self.frontend.num_frames(length)[:, None]  # pyright: ignore[reportCallIssue]
            scores = scores.masked_fill(end > own, torch.nan)
        return self._aggregate(scores)

    def _logits(self, windows: Tensor) -> Tensor:
        """(window, band, frame) -> (window,)."""
        exporting = torch.compiler.is_exporting()  # a graph has no loop
        parts = (windows,) if exporting else windows.split(self.windows_per_pass)
        return torch.cat([self.network(part).logits[:, 0].float() for part in parts])

    def _aggregate(self, scores: Tensor) -> Tensor:
        """(batch, window), NaN where a clip has none -> (batch,)."""
        match self.aggregation:
            case "mean":
                return scores.nanmean(1)
            case "median":
                return scores.nanmedian(1).values
            case "max":
                return scores.nan_to_num(-torch.inf).amax(1)
            case _:  # std
                return (scores - scores.nanmean(1, keepdim=True)).square().nanmean(1).sqrt()


class ClassScorer(Scorer):
    """Probabilities of all classes, heads side by side.

    Args:
        network: Features -> `Output` with one logit a class, or one a head of two classes (`is_multi_tag`).
        frontend: (batch, channel, time) and lengths -> features.
        heads: Head -> class names by index.
        is_multi_tag: Each head is a tag that is there or not, with one logit.
    """

    meaning = "probability of every class; those of a head add up to 1"
    frontend: nn.Module

    def __init__(
        self,
        network: nn.Module,
        frontend: nn.Module,
        *,
        heads: Mapping[str, Sequence[str]],
        is_multi_tag: bool = False,
    ) -> None:
        super().__init__(network, frontend)
        self.heads = {head: list(names) for head, names in heads.items()}
        self.is_multi_tag = is_multi_tag

    def forward(self, waveform: Tensor, length: Tensor | None = None) -> Tensor:
        """Score clips.

        Args:
            waveform: (batch, channel, time) in [-1, 1].
            length: int64 (batch,), samples of each clip before padding; None where all are whole.

        Returns:
            float32 (batch, class).
        """
        logits = self.network(self.frontend(waveform, length)).logits.float()
        if self.is_multi_tag:  # a sigmoid is a softmax over a logit of zero and its own
            logits = torch.stack([torch.zeros_like(logits), logits], dim=2).flatten(1)
        sizes = [len(names) for names in self.heads.values()]
        return torch.cat([head.softmax(dim=1) for head in logits.split(sizes, dim=1)], dim=1)
