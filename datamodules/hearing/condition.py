"""What is odd about a recording: silence, clipping, channels that cancel each other."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SILENT = 1e-4
"""Largest sample of a silent recording: -80 dB of full scale."""

NEARLY_SILENT = 1e-3
"""Root mean square below which a recording is nearly silent: -60 dB of full scale."""

CLIPPED = 1e-3
"""Share of clipped samples that is worth a word."""

_FULL_SCALE = 0.999
_CANCELLED = (
    0.01  # power of the channels' mean over that of a channel: -20 dB; unrelated channels keep a half or more
)


@dataclass
class Condition:
    """Measured of all samples and all channels while a recording is decoded.

    Attributes:
        num_channels: Of the recording.
        num_samples: Of each channel.
        lowest: Sample of any channel, with its sign.
        highest: The same.
        mixed_peak: Largest sample of the channels' mean.
        num_clipped: Samples of all channels that lie at full scale, three or more in a row.
        energy: Sum of the squares of all samples of all channels.
        mixed_energy: Sum of the squares of the channels' mean.
    """

    num_channels: int = 0
    num_samples: int = 0
    lowest: float = math.inf
    highest: float = -math.inf
    mixed_peak: float = 0.0
    num_clipped: int = 0
    energy: float = 0.0
    mixed_energy: float = 0.0

    def hear(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Takes in the next samples (channel, time); returns the mean of their channels, (1, time)."""
        mixed = block if len(block) == 1 else block.mean(axis=0, keepdims=True)
        self.num_channels = len(block)
        self.num_samples += block.shape[1]
        self.energy += _energy(block)
        self.mixed_energy += _energy(mixed)
        if block.size:
            lowest, highest = float(block.min()), float(block.max())
            self.lowest, self.highest = min(self.lowest, lowest), max(self.highest, highest)
            self.mixed_peak = max(self.mixed_peak, float(np.abs(mixed).max()))
            if max(-lowest, highest) >= _FULL_SCALE:
                self.num_clipped += _in_runs(np.abs(block) >= _FULL_SCALE)
        return mixed

    @property
    def peak(self) -> float:
        """Largest sample of any channel, without its sign."""
        return max(-self.lowest, self.highest, 0.0)

    @property
    def is_constant(self) -> bool:
        """Whether all samples are alike, as in silence; a direct current is no sound."""
        return self.lowest == self.highest

    @property
    def is_silent(self) -> bool:
        """Whether no channel has a sound."""
        return self.peak < SILENT or self.is_constant

    @property
    def is_nearly_silent(self) -> bool:
        """Whether there is a sound, and hardly any."""
        power = self.energy / max(self.num_samples * self.num_channels, 1)
        return not self.is_silent and power < NEARLY_SILENT**2

    @property
    def clipped(self) -> float:
        """Share of clipped samples."""
        return self.num_clipped / max(self.num_samples * self.num_channels, 1)

    @property
    def is_anti_phase(self) -> bool:
        """Whether there is a sound whose channels cancel each other: their mean is 20 dB softer than they are."""
        return not self.is_silent and self.mixed_energy < _CANCELLED * self.energy / max(self.num_channels, 1)

    def fault(self, *, mono: bool) -> str:
        """Why there is nothing to hear, for a model that hears the channels' mean (`mono`) or each; or nothing."""
        if self.is_constant and self.peak >= SILENT:
            return "silent: a direct current, all samples are alike"
        if self.is_silent:
            return f"silent: no sample above {20 * math.log10(SILENT):.0f} dB of full scale"
        if mono and self.mixed_peak < SILENT:
            return "silent when its channels are averaged: they cancel each other; keep one of them"
        return ""

    def remarks(self) -> list[str]:
        """What a score of the recording is to be taken with care for."""
        found = ["nearly silent"] if self.is_nearly_silent else []
        if self.clipped >= CLIPPED:
            found.append(f"{self.clipped:.1%} of the samples clipped")
        if self.is_anti_phase:
            found.append("its channels cancel each other")
        return found


def _energy(block: NDArray[np.float32]) -> float:
    return float(np.square(block, dtype=np.float64).sum())


def _in_runs(marked: NDArray[np.bool_]) -> int:
    """How many of the marked places (channel, time) stand three or more in a row."""
    cores = marked[:, :-2] & marked[:, 1:-1] & marked[:, 2:]
    runs = np.zeros_like(marked)
    for shift in range(3):
        runs[:, shift : shift + cores.shape[1]] |= cores
    return int(runs.sum())
