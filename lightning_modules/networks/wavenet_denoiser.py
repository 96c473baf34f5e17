"""WaveNet for speech denoising: dilated convolutions that look to both sides (Rethage et al. 2018).

Legend: time shrinks from layer to layer, for nothing is padded.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class GatedLayer(nn.Module):
    """A dilated convolution of 3 taps with a gate, and its shares for the next layer and for the output.

    Args:
        channels: Of the residual path, and of the skip path.
        dilation: Samples between the taps.
        condition_dim: Size of the condition; 0 without.
    """

    def __init__(self, channels: int, dilation: int, condition_dim: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.convolution = nn.Conv1d(channels, 2 * channels, 3, dilation=dilation, bias=False)
        self.condition = nn.Linear(condition_dim, 2 * channels, bias=False) if condition_dim else None
        self.mix = nn.Conv1d(channels, 2 * channels, 1, bias=False)

    def forward(self, residual: Tensor, condition: Tensor | None, kept: int) -> tuple[Tensor, Tensor]:
        """Map (batch, channel, time) to the next layer's (batch, channel, time - 2 dilation) and `kept` skips."""
        filtered, gate = add_condition(self.convolution(residual), self.condition, condition).chunk(2, dim=1)
        change, skip = self.mix(filtered.tanh() * gate.sigmoid()).chunk(2, dim=1)
        return centre(residual, change.shape[-1]) + change, centre(skip, kept)


class WaveNetDenoiser(nn.Module):
    """Non-causal WaveNet from noisy to clean samples, all output samples at once (Rethage et al. 2018).

    The defaults are the paper's: 6,342,657 parameters with a condition, and dilated layers that span 6139 samples; the
    convolutions of 3 taps before and after them add 6.

    Args:
        channels: Of the residual and of the skip path.
        stacks: How often the dilations 1, 2, 4, ... repeat.
        layers: Dilations of a stack.
        head_channels: Of the two convolutions of 3 taps before the last.
        condition_dim: Bits of the speaker's number, 5 for 29 speakers and 0 for anyone; 0 makes a network without
            condition.

    Attributes:
        receptive_field: Samples that an output sample depends on, itself included.
        look_ahead: How many of them come after it.
    """

    def __init__(
        self,
        *,
        channels: int = 128,
        stacks: int = 3,
        layers: int = 10,
        head_channels: tuple[int, int] = (2048, 256),
        condition_dim: int = 5,
    ) -> None:
        super().__init__()
        if min(channels, stacks, layers, *head_channels) < 1 or condition_dim < 0:
            raise ValueError(
                f"channels {channels}, stacks {stacks}, layers {layers}, head_channels {head_channels},"
                f" condition_dim {condition_dim}: expected at least 1 of each, and no negative condition"
            )
        dilations = [2**layer for layer in range(layers)] * stacks
        self.condition_dim = condition_dim
        self.look_ahead = sum(dilations) + 3
        self.receptive_field = 2 * self.look_ahead + 1
        self.input = nn.Conv1d(1, channels, 3, bias=False)
        self.layers = nn.ModuleList(GatedLayer(channels, dilation, condition_dim) for dilation in dilations)
        wide, narrow = head_channels
        self.wide = nn.Conv1d(channels, wide, 3, bias=False)
        self.narrow = nn.Conv1d(wide, narrow, 3, bias=False)
        self.output = nn.Conv1d(narrow, 1, 1)
        self.conditions = nn.ModuleList(
            nn.Linear(condition_dim, size, bias=False) for size in (channels, wide, narrow) if condition_dim
        )

    def forward(self, waveform: Tensor, knobs: Tensor | None = None) -> Tensor:
        """Denoise.

        Args:
            waveform: (batch, 1, time), noisy.
            knobs: (batch, condition_dim) bits of the speaker's number, -0.5 for 0 and 0.5 for 1; None, or no column,
                stands for anyone.

        Returns:
            (batch, 1, time - receptive_field + 1): the samples that have all their context, of which the last lies
            `look_ahead` before the end of the input.

        Raises:
            ValueError: If the input is shorter than the receptive field, or there are bits too many or too few.
        """
        kept = waveform.shape[-1] - self.receptive_field + 1
        condition = self._condition(knobs)
        if kept < 1:
            raise ValueError(
                f"{waveform.shape[-1]} samples: an output sample depends on {self.receptive_field}; pad with silence"
            )
        first, wide, narrow = self.conditions if self.condition_dim else (None, None, None)
        residual = add_condition(self.input(waveform), first, condition)
        skips = residual.new_zeros(())
        for layer in self.layers:
            residual, skip = layer(residual, condition, kept + 4)  # the head's convolutions take 4
            skips = skips + skip
        hidden = add_condition(self.wide(F.relu(skips)), wide, condition)
        hidden = add_condition(self.narrow(F.relu(hidden)), narrow, condition)
        return self.output(hidden)

    def _condition(self, knobs: Tensor | None) -> Tensor | None:
        """Bits (batch, condition_dim) of 0 and 1, None for anyone: the layers of the condition have no bias."""
        if knobs is None or not knobs.shape[1]:
            return None
        if knobs.shape[1] != self.condition_dim:
            raise ValueError(f"a condition of {knobs.shape[1]} values: expected {self.condition_dim} or none")
        return knobs + 0.5


def add_condition(hidden: Tensor, layer: nn.Module | None, condition: Tensor | None) -> Tensor:
    """Add what `layer` makes of (batch, condition_dim) to all samples of (batch, channel, time)."""
    return hidden if layer is None or condition is None else hidden + layer(condition).unsqueeze(-1)


def centre(signal: Tensor, length: int) -> Tensor:
    """The middle `length` samples of (..., time)."""
    return signal.narrow(-1, (signal.shape[-1] - length) // 2, length)
