"""What DATAR adds to a spectrogram before the first layer: a learnt signal, or the noise it is compared with.

Source: Zhu, "DATAR: Deformable audio transformer for audio event recognition" (ICASSP 2024), section 3.2, Table 4.
"""

from typing import Literal

import torch
from torch import Tensor, nn


class InputAdaptor(nn.Module):
    """Add strength * (bias + convolution) to spectrograms: (batch, channel, mel, frame) -> the same.

    The paper gives no size of the kernel.

    Args:
        strength: The paper's lambda, fixed; it compares 0.005 with 0.2. 0 changes nothing.
        channels: Of the spectrogram.
        kernel_size: Odd.
    """

    def __init__(self, strength: float = 0.005, *, channels: int = 1, kernel_size: int = 3) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size}: expected an odd number, which keeps the size")
        self.strength = strength
        self.conv = nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Adapt (batch, channel, mel, frame)."""
        return x + self.strength * self.conv(x)


class NoiseAdaptor(nn.Module):
    """Add noise to spectrograms (batch, channel, mel, frame), while training.

    Args:
        scale: Second parameter of the paper's N(0, 0.005) and L(0, 0.005), read as the standard deviation of Gaussian
            noise and as the scale b of Laplacian noise, whose standard deviation is b times the root of 2. The paper
            does not say; a variance of 0.005 is a scale of 0.0707.
        distribution: "gaussian" or "laplace".
        in_evaluation: Add noise in evaluation, too: one that is drawn once, the same for all clips, so that what a
            clip scores follows from it alone.
    """

    def __init__(
        self,
        scale: float = 0.005,
        *,
        distribution: Literal["gaussian", "laplace"] = "gaussian",
        in_evaluation: bool = False,
    ) -> None:
        super().__init__()
        if distribution not in ("gaussian", "laplace"):
            raise ValueError(f"distribution={distribution!r}: expected gaussian or laplace")
        self.scale = scale
        self.distribution = distribution
        self.in_evaluation = in_evaluation

    def forward(self, x: Tensor) -> Tensor:
        """Add noise to (batch, channel, mel, frame)."""
        if not (self.training or self.in_evaluation):
            return x
        generator = None if self.training else torch.Generator(x.device).manual_seed(0)
        noise = torch.empty_like(x if self.training else x[:1])
        if self.distribution == "gaussian":
            noise.normal_(generator=generator)
        else:  # the difference of two exponential variables is a Laplacian one
            noise.exponential_(generator=generator)
            noise -= torch.empty_like(noise).exponential_(generator=generator)
        return x + self.scale * noise
