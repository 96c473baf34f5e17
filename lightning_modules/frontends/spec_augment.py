"""SpecAugment: random bands and spans of a spectrogram set to zero."""

import torch
from torch import Tensor, nn
from torchaudio.functional import mask_along_axis_iid


class SpecAugment(nn.Module):
    """Zero random bands and spans of each sample's features, in training only.

    Defaults are the policy "LibriSpeech basic" of Park et al. (2019), without time warping. Widths are drawn
    uniformly from zero to the given one, on the generator of the features' device.

    Args:
        band_width: Widest band, in rows of the features.
        span_width: Widest span, in frames.
        num_bands: Bands a sample.
        num_spans: Spans a sample.
    """

    def __init__(
        self, band_width: int = 27, *, span_width: int = 100, num_bands: int = 1, num_spans: int = 1
    ) -> None:
        super().__init__()
        self.band_width = band_width
        self.span_width = span_width
        self.num_bands = num_bands
        self.num_spans = num_spans

    def forward(self, features: Tensor) -> Tensor:
        """Mask (batch, dim, frame) or (batch, channel, dim, frame); channels share their sample's masks."""
        if not self.training:
            return features
        dim, frame = features.shape[-2:]
        keep = torch.ones(len(features), dim, frame, device=features.device)
        for axis, width, count in (
            (1, self.band_width, self.num_bands),
            (2, self.span_width, self.num_spans),
        ):
            for _ in range(count):
                keep = mask_along_axis_iid(keep, min(width, keep.shape[axis]), 0.0, axis)
        if features.ndim == 4:
            keep = keep.unsqueeze(1)
        return features * keep.to(features.dtype)
