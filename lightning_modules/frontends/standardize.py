"""Features of zero mean and unit variance in every band."""

import torch
from torch import Tensor, nn


class Standardize(nn.Module):
    """Subtracts the mean of each band and divides by its standard deviation, both measured on training clips.

    Args:
        num_bands: Bands of the features.
    """

    mean: Tensor
    std: Tensor
    num_frames: Tensor

    def __init__(self, num_bands: int = 128) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_bands, 1))
        self.register_buffer("std", torch.ones(num_bands, 1))
        self.register_buffer("num_frames", torch.tensor(0))  # that the statistics are of

    @property
    def is_fitted(self) -> bool:
        """Whether the statistics have been measured or loaded."""
        return bool(self.num_frames > 0)

    @staticmethod
    def moments(features: Tensor, num_frames: Tensor) -> Tensor:
        """Sums up clips, for `fit`.

        Args:
            features: (batch, band, frame).
            num_frames: int64 (batch,), frames of each clip.

        Returns:
            float64 (batch, 2 * band + 1): sums, sums of squares, number of frames.
        """
        own = torch.arange(features.shape[-1], device=features.device) < num_frames[:, None]
        values = features.double() * own[:, None]
        return torch.cat([values.sum(2), values.square().sum(2), num_frames[:, None].double()], dim=1)

    def fit(self, moments: Tensor) -> None:
        """Takes the statistics from the (clip, 2 * band + 1) `moments` of all training clips."""
        *sums, num_frames = moments.sum(0).split([len(self.mean), len(self.mean), 1])
        mean, square = (total[:, None] / num_frames for total in sums)
        self.mean.copy_(mean)
        self.std.copy_((square - mean.square()).clamp_min(1e-12).sqrt())
        self.num_frames.copy_(num_frames[0])

    def forward(self, features: Tensor) -> Tensor:
        """Scales (..., band, frame) features."""
        return (features - self.mean) / self.std
