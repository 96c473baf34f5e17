"""Mixtures of a signal and noise, made as they are asked for."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from datamodules.clips import ClipDataset
from datamodules.production.pairs.pairs import Pair, PairDataset, PairItem
from datamodules.production.pairs.simple_signals import SIGNALS, simple_signal

Content = Literal["mixture", "clean", "noise"]
_QUIETEST = 1e-6  # mean power that a signal counts with at least: noise goes on through its pauses
_NOISE_LEVEL = (0.003, 0.1)  # RMS of noise alone
_NO_KNOBS = torch.zeros(0)


@dataclass(frozen=True, kw_only=True)
class Mixture(Pair):
    """What an evaluation item is made of.

    Attributes:
        content: Both, or one of them alone.
        snr_db: Power of the signal over that of the noise.
    """

    content: Content = "mixture"
    snr_db: float = 0.0


@dataclass(eq=False, kw_only=True)
class MixtureDataset(PairDataset):
    """Mixtures; see `NoisyMixtures`. Rows of evaluation are `Mixture`s and depend on their number alone."""

    clean: ClipDataset | None
    noise: ClipDataset | None
    window: int
    sample_rate: int
    snr_db: tuple[float, float]
    shares: tuple[float, float]
    seed: int

    def __getitem__(self, item: tuple[int, int]) -> PairItem:
        index, draw = item
        pair = self.pairs[index]
        if isinstance(pair, Mixture):
            rng = np.random.default_rng([self.seed, index])
            content, snr_db = pair.content, pair.snr_db
        else:
            rng = np.random.default_rng([self.seed, index, draw])
            content, snr_db = self._draw_content(rng), rng.uniform(*self.snr_db)
        clean = self._draw_clean(rng)
        waveform, target = mix(clean, self._draw_noise(rng), content, snr_db, rng)
        return PairItem(waveform, target, _NO_KNOBS, pair, index)

    def _draw_content(self, rng: np.random.Generator) -> Content:
        clean_share, noise_share = self.shares
        drawn = rng.uniform()
        if drawn < clean_share:
            return "clean"
        return "noise" if drawn < clean_share + noise_share else "mixture"

    def _draw_clean(self, rng: np.random.Generator) -> Tensor:
        if self.clean is not None:
            return draw_crop(self.clean, rng)
        name = SIGNALS[rng.integers(len(SIGNALS))]
        signal = simple_signal(name, rng, length=self.window, sample_rate=self.sample_rate)
        return torch.from_numpy(signal).unsqueeze(0)

    def _draw_noise(self, rng: np.random.Generator) -> Tensor:
        if self.noise is not None:
            return draw_crop(self.noise, rng)
        return torch.from_numpy(rng.standard_normal((1, self.window), np.float32))


def draw_crop(source: ClipDataset, rng: np.random.Generator) -> Tensor:
    """A crop (1, time) of one of the clips."""
    return source[int(rng.integers(len(source))), int(rng.integers(2**64, dtype=np.uint64))].waveform


def mix(
    clean: Tensor, noise: Tensor, content: Content, snr_db: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Input and target, (1, time) each, of a signal and noise at a ratio of powers; noise alone has a drawn level."""
    if content == "clean":
        return clean, clean
    power = noise.square().mean().clamp_min(1e-20)
    if content == "noise":
        low, high = _NOISE_LEVEL
        level = low * (high / low) ** rng.uniform()
        return noise * (level / power.sqrt()), torch.zeros_like(noise)
    wanted = clean.square().mean().clamp_min(_QUIETEST) / 10 ** (snr_db / 10)
    return clean + noise * (wanted / power).sqrt(), clean
