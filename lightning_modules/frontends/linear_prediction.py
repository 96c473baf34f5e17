"""Multichannel linear prediction of late reverberation, many frequency bins at once.

Letters: n bins of clips, t frames, m channels, k = taps * channels past values.
"""

import copy
from abc import ABC, abstractmethod

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.frontends.stft import STFT

_LOADING = 0.1  # of machine epsilon per unknown, on a unit diagonal: enough for most matrices


class LinearPrediction:
    """Prediction of every frame of a multichannel signal from the frames at least `delay` earlier.

    The part that a filter leaves, signal minus prediction, is x_t - G^H z_t in the papers, where z_t stacks
    x_{t-delay} ... x_{t-delay-taps+1}; frames before the first are zero. Filters here are conj(G).

    Args:
        signal: Complex (n, t, m).
        delay: Frames from the signal back to the youngest value that predicts it.
        taps: Number of frames that predict.
    """

    def __init__(self, signal: Tensor, *, delay: int, taps: int) -> None:
        # Real parts beside imaginary ones: real products can spare what Hermitian symmetry makes redundant.
        self._signal = _side_by_side(signal)  # (n, t, 2 * m)
        parts = (past(part, delay=delay, taps=taps) for part in self._signal.chunk(2, dim=-1))
        self._past = torch.cat(list(parts), dim=-1)  # (n, t, 2 * k)

    def folded(self, number: int) -> "LinearPrediction":
        """The same prediction of `folds` of the signal: n * `number` bins."""
        found = copy.copy(self)
        found._signal, found._past = folds(self._signal, number), folds(self._past, number)
        return found

    def correlation(self, weight: Tensor) -> Tensor:
        """Correlation of the past with itself over frames weighted by `weight` (n, t) > 0: (n, k, k)."""
        weighted = self._past * weight.sqrt().unsqueeze(-1)
        real, imag = weighted.chunk(2, dim=-1)
        both = rearrange(weighted, "n t (part k) -> n (t part) k", part=2)
        cross = real.mT @ imag
        return torch.complex(both.mT @ both, cross - cross.mT)

    def project(self, frames: Tensor) -> Tensor:
        """Correlation of the past with frames (n, t, m): (n, k, m)."""
        return self._project(_side_by_side(frames))

    def _project(self, frames: Tensor) -> Tensor:
        (rr, ri), (ir, ii) = rearrange(self._past.mT @ frames, "n (p k) (q m) -> p q n k m", p=2, q=2)
        return torch.complex(rr + ii, ri - ir)

    def predict(self, filters: Tensor) -> Tensor:
        """Apply filters (n, k, m) to the past: (n, t, m)."""
        return _one_number(self._predict(filters))

    def _predict(self, filters: Tensor) -> Tensor:
        real, imag = filters.real, filters.imag
        rows = [torch.cat([real, imag], dim=-1), torch.cat([-imag, real], dim=-1)]
        return self._past @ torch.cat(rows, dim=1)

    def error(self, *, iterations: int, floor: float = 1e-10) -> Tensor:
        """The signal minus its prediction, weighted by the inverse power of the same error: WPE.

        Args:
            iterations: Alternations of power and filter.
            floor: Least power of a frame, relative to the loudest one of its bin.

        Returns:
            (n, t, m).
        """
        error = self._signal
        for _ in range(iterations):
            weight = inverse_power(error, floor)
            whitened = error * weight.unsqueeze(-1)
            # The filter is refined, not fitted anew: the same but for rounding, which the next iteration mends.
            change = self._predict(LoadedCholesky(self.correlation(weight)).solve(self._project(whitened)))
            error = subtract(error, change, whitened=whitened, whitened_change=change * weight.unsqueeze(-1))
        return _one_number(error)


def _side_by_side(signal: Tensor) -> Tensor:
    """Real parts, then imaginary parts, of complex (n, t, m): (n, t, 2 * m)."""
    return torch.cat([signal.real, signal.imag], dim=-1)


def _one_number(parts: Tensor) -> Tensor:
    """Complex (n, t, m) of `_side_by_side`."""
    return torch.complex(*parts.chunk(2, dim=-1))


def past(signal: Tensor, *, delay: int, taps: int) -> Tensor:
    """Stack the frames `delay` to `delay + taps - 1` before each one, oldest first.

    Args:
        signal: (n, t, m) of more than `delay` frames.
        delay: At least 0.
        taps: At least 1.

    Returns:
        (n, t, taps * m).
    """
    padded = F.pad(signal[:, : signal.shape[1] - delay], (0, 0, delay + taps - 1, 0))
    return rearrange(padded.unfold(1, taps, 1), "n t m tap -> n t (tap m)").contiguous()


def folds(signal: Tensor, number: int) -> Tensor:
    """Cut (n, t, ...) into spans of equal length, the last one padded with zeros: (n * `number`, span, ...)."""
    padding = [0, 0] * (signal.dim() - 2) + [0, -signal.shape[1] % number]
    return F.pad(signal, padding).unflatten(1, (number, -1)).flatten(0, 1)


def frame_power(signal: Tensor) -> Tensor:
    """Mean power over channels: complex (n, t, m) -> (n, t)."""
    return inner(signal, signal) / signal.shape[-1]


def inverse_power(signal: Tensor, floor: float) -> Tensor:
    """One over the mean power of frames, parts side by side (n, t, 2 * m), floored relative to the loudest: (n, t)."""
    power = 2 * frame_power(signal)
    loudest = power.amax(dim=-1, keepdim=True)
    return torch.where(loudest > 0, torch.maximum(power, floor * loudest), 1).reciprocal()


def inner(left: Tensor, right: Tensor) -> Tensor:
    """Real part of the inner products over channels: complex (..., m) twice, or parts side by side -> (...)."""
    if left.is_complex():
        left, right = (torch.view_as_real(each).flatten(-2) for each in (left, right))
    return (left * right).sum(dim=-1)


def subtract(error: Tensor, change: Tensor, *, whitened: Tensor, whitened_change: Tensor) -> Tensor:
    """Subtract from the error as much of a change as leaves the least sum of e^H P e, whatever the change.

    Args:
        error: e, (n, t, m).
        change: d, (n, t, m).
        whitened: P e.
        whitened_change: P d.

    Returns:
        The new error.
    """
    curvature = inner(change, whitened_change).sum(dim=-1)
    length = inner(change, whitened).sum(dim=-1) / curvature.clamp_min(torch.finfo(curvature.dtype).tiny)
    return error - length[:, None, None] * change


class LoadedCholesky:
    """Factor of positive semidefinite matrices, each loaded no more than it needs.

    The unknowns are scaled to a unit diagonal, to which a few machine epsilons are added, ten times more until the
    factorisation succeeds: dead, equal or very unequal channels do no harm.

    Args:
        matrix: Hermitian (n, k, k).
    """

    def __init__(self, matrix: Tensor) -> None:
        diagonal = matrix.diagonal(dim1=-2, dim2=-1).real.unsqueeze(-1)
        self._scale = torch.where(diagonal > 0, diagonal, 1).rsqrt()
        scaled = matrix * self._scale * self._scale.mT
        eps = torch.finfo(diagonal.dtype).eps
        loading = diagonal.new_full((len(matrix), 1), _LOADING * matrix.shape[-1] * eps)
        self._factor, failed = torch.linalg.cholesky_ex(_loaded(scaled, loading))
        while failed.any() and loading.amax() < 1:
            loading = torch.where(failed.unsqueeze(1) > 0, 10 * loading, loading)
            self._factor, failed = torch.linalg.cholesky_ex(_loaded(scaled, loading))

    def solve(self, right: Tensor) -> Tensor:
        """Solve for (n, k, m): the same shape."""
        return self._scale * torch.cholesky_solve(self._scale * right, self._factor)


def _loaded(matrix: Tensor, loading: Tensor) -> Tensor:
    """Add loading (n, 1) to the diagonal of (n, k, k)."""
    loaded = matrix.clone()
    loaded.diagonal(dim1=-2, dim2=-1).add_(loading)
    return loaded


class Dereverberation(nn.Module, ABC):
    """Removes late reverberation from spectra: what all do who predict it, whatever their filters.

    Args:
        n_fft: Length of the Fourier transform and the Hann window in samples.
        hop_length: Samples from frame to frame.
        orders: Attributes by their names: those below and whatever else the filters count.

    Attributes:
        taps: Number of past frames that predict.
        delay: Frames back to the youngest of them.
        chunk_bins: Bins of the batch at work at once.

    Raises:
        ValueError: For orders below 1.
    """

    taps: int
    delay: int
    chunk_bins: int

    def __init__(self, *, n_fft: int, hop_length: int, **orders: int) -> None:
        super().__init__()
        for name, order in orders.items():
            if order < 1:
                raise ValueError(f"{name}={order}: expected at least 1")
            setattr(self, name, order)
        self.stft = STFT(n_fft, hop_length=hop_length)

    def forward(self, waveform: Tensor) -> Tensor:
        """Dereverberate clips.

        Args:
            waveform: (batch, channel, time).

        Returns:
            The same shape in float32, or float64 after ``double()``; silence stays silence.

        Raises:
            ValueError: For NaN or infinite samples and for clips too short to fit the filters.
        """
        return self.stft.inverse(self.dereverberate(self.stft(waveform)), waveform.shape[-1])

    def dereverberate(self, spectrum: Tensor) -> Tensor:
        """Dereverberate complex spectra: (batch, channel, bin, frame) to the same shape."""
        _, channels, _, frames = spectrum.shape
        if frames <= self.delay + self.taps * channels:
            raise ValueError(
                f"clip of {frames} frames: expected more than delay + taps * channels = "
                f"{self.delay + self.taps * channels}, or a filter predicts everything; take longer clips, fewer "
                "taps or fewer channels"
            )
        broken = ~spectrum.flatten(1).sum(dim=1).isfinite()
        if broken.any():
            index = int(broken.nonzero()[0])
            raise ValueError(f"clip {index} of the batch: NaN or infinite samples; repair or drop it")
        clips = rearrange(spectrum, "batch channel bin frame -> batch bin frame channel")
        with torch.autocast(spectrum.device.type, enabled=False):
            dry = self._dereverberate_clips(clips)
        return rearrange(dry, "batch bin frame channel -> batch channel bin frame")

    @abstractmethod
    def _dereverberate_clips(self, clips: Tensor) -> Tensor:
        """Dereverberate (clip, bin, frame, channel), `chunk_bins` at once."""


class BinByBin(Dereverberation):
    """Dereverberation that treats every bin as if there were no others."""

    def _dereverberate_clips(self, clips: Tensor) -> Tensor:
        chunks = clips.flatten(0, 1).split(self.chunk_bins)
        return torch.cat([self._dereverberate_bins(chunk) for chunk in chunks]).view_as(clips)

    @abstractmethod
    def _dereverberate_bins(self, bins: Tensor) -> Tensor:
        """Dereverberate (n, frame, channel)."""
