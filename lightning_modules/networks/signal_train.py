"""SignalTrain: an effect as a map of short spectrograms, with knobs (Hawley, Colburn and Mimilakis, AES 147, 2019).

Reference: github.com/drscotthawley/signaltrain. Letters: b batch, w window, n sample of a frame, f frequency, t frame.
"""

import math
from itertools import pairwise

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.networks.elu import ELU

_SHORTEST = 8192  # samples of the input window at scale 1
_RANK = 64


class SignalTrain(nn.Module):
    """Trainable short-time transform, one autoencoder along time for magnitudes and one for phases, and back.

    Maps windows of `window` samples to their last `stride` samples. A longer input is cut into overlapping windows
    that end where it ends; the outputs are joined, so that the last output sample belongs to the last input sample.
    (The official synthesis lags its own residual by 128 samples at scales 2 and 8; here frames end with the window.)

    Args:
        num_knobs: 0 is an effect without knobs.
        scale: Length of the window, in 8192 samples.
        shrink: Window relative to the output asked for; what comes out is rounded to whole hops.
        size: Samples of a frame.
        hop: Samples between frames.

    Attributes:
        window: Input samples that make one output window.
        stride: Samples that a window gives: outputs come in multiples of them.
        receptive_field: ``window - stride + 1``, so that n input samples give n - receptive_field + 1 where that is a
            multiple of `stride`.
    """

    look_ahead = 0

    def __init__(
        self, num_knobs: int = 4, *, scale: float = 1, shrink: float = 4, size: int = 1024, hop: int = 384
    ) -> None:
        super().__init__()
        self.num_knobs, self.size, self.hop = num_knobs, size, hop
        self.window = round(_SHORTEST * scale)
        overlap = math.ceil(size / hop)
        self.frames_in = math.ceil(self.window / hop) + overlap
        self.frames_out = math.ceil(self.window / shrink / hop) + overlap
        self.stride = (self.frames_out - 1) * hop - size
        if not 0 < self.stride <= self.window:
            raise ValueError(
                f"scale {scale} and shrink {shrink} give {self.stride} output samples of a window of {self.window}:"
                " choose a larger scale or a shrink of at least 1"
            )
        self.receptive_field = self.window - self.stride + 1
        analysis, synthesis = _windows(size, hop)
        self.analysis = nn.ParameterList(_fourier(size, analysis))
        self.synthesis = nn.ParameterList(_fourier(size, synthesis))
        self.magnitude = TimeAutoencoder(self.frames_in, self.frames_out, num_knobs)
        self.phase = TimeAutoencoder(self.frames_in, self.frames_out, num_knobs)

    def forward(self, waveform: Tensor, knobs: Tensor | None = None) -> Tensor:
        """(batch, 1, time) and knobs (batch, knob) in [-0.5, 0.5] -> (batch, 1, multiple of stride)."""
        return self.with_magnitude(waveform, knobs)[0]

    def with_magnitude(self, waveform: Tensor, knobs: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `forward`, and the magnitudes (batch * windows, frequency, frame) that the output was made of."""
        if waveform.shape[-1] < self.window:
            raise ValueError(
                f"{waveform.shape[-1]} samples are less than the network's window of {self.window}: give longer clips"
            )
        with torch.autocast(waveform.device.type, enabled=False):
            start = (waveform.shape[-1] - self.window) % self.stride
            waveform = waveform.to(self.analysis[0].dtype)
            windows = waveform[:, 0, start:].unfold(-1, self.window, self.stride)  # (b, w, time)
            count = windows.shape[1]
            knobs = waveform.new_zeros(len(waveform), 0) if knobs is None else knobs.to(waveform.dtype)
            settings = repeat(knobs, "b knob -> (b w) knob", w=count)
            output, magnitude = self._map(rearrange(windows, "b w time -> (b w) time") / 2, settings)
        return rearrange(2 * output, "(b w) time -> b 1 (w time)", w=count), magnitude

    def _map(self, window: Tensor, knobs: Tensor) -> tuple[Tensor, Tensor]:
        real, imaginary = self.analyse(window)
        magnitude = torch.complex(real, imaginary).abs()  # its slope at zero is no NaN
        phase = torch.atan2(imaginary, real + 1e-7)
        last = slice(-self.frames_out, None)
        magnitude = self.magnitude(magnitude, knobs) * magnitude[..., last]
        phase = self.phase(phase, knobs) + phase[..., last]
        output = self.synthesise(magnitude * phase.cos(), magnitude * phase.sin())
        return output + window[:, -self.stride :], magnitude

    def analyse(self, window: Tensor) -> tuple[Tensor, Tensor]:
        """(b, window) -> real and imaginary parts (b, f, frames_in) of the frames up to the window's end."""
        # Silence before the window, as far as the frames reach back, and a frame of it after.
        missing = (self.frames_in - 1) * self.hop - self.window
        frames = F.pad(window, (missing, self.size)).unfold(-1, self.size, self.hop)  # (b, t, n)
        # half of each square basis is the other half mirrored and never used, as in the original
        basis = torch.cat([self._halves(weight)[0] for weight in self.analysis])
        # with the basis first the product is laid out as what follows wants it
        spectra = basis @ frames.reshape(-1, self.size).T
        real, imaginary = rearrange(spectra, "(part f) (b t) -> part b f t", part=2, b=len(window))
        return real, imaginary

    def synthesise(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """(b, f, frames_out) twice -> (b, stride)."""
        # the mirrored half of a spectrum meets bases of its own: add those first, and multiply half as much
        (cosine, mirrored_cosine), (sine, mirrored_sine) = map(self._halves, self.synthesis)
        basis = torch.cat([cosine + mirrored_cosine, sine - mirrored_sine])
        spectrum = rearrange(torch.cat([real, imaginary], dim=1), "b f t -> (b t) f")
        frames = rearrange(spectrum @ basis, "(b t) n -> b n t", b=len(real))
        length = (self.frames_out - 1) * self.hop + self.size
        joined = F.fold(frames, (1, length), (1, self.size), stride=(1, self.hop))[:, 0, 0]
        return joined[:, self.size : -self.size]

    def _halves(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """A basis (f, n) up to its highest frequency, and what mirrors it, turned round, with zeros for the ends."""
        half = self.size // 2
        basis, mirrored = weight.split([half + 1, half - 1])
        return basis, F.pad(mirrored.flip(0), (0, 0, 1, 1))


class TimeAutoencoder(nn.Module):
    """The same small network for every frequency, along its frames; the knobs join in the middle.

    Args:
        frames_in: Frames of the input.
        frames_out: Frames of the output.
        num_knobs: Size of the knobs.
    """

    def __init__(self, frames_in: int, frames_out: int, num_knobs: int) -> None:
        super().__init__()
        wide, middle, narrow = _RANK, _RANK // 2, _RANK // 4
        self.encoder = _linear_elu(frames_in, wide, middle, narrow, narrow)
        self.decoder = _linear_elu(narrow + num_knobs, narrow, narrow, middle, wide, frames_out)

    def forward(self, spectrum: Tensor, knobs: Tensor) -> Tensor:
        """(b, f, frames_in) and (b, knob) -> (b, f, frames_out)."""
        code = self.encoder(spectrum)
        return self.decoder(torch.cat([code, repeat(knobs, "b knob -> b f knob", f=code.shape[1])], dim=-1))


def _linear_elu(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inner, outer in pairwise(sizes):
        linear = nn.Linear(inner, outer)
        nn.init.xavier_normal_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [linear, ELU(inplace=True)]
    return nn.Sequential(*layers)


def _windows(size: int, hop: int) -> tuple[Tensor, Tensor]:
    """Hamming window and the synthesis window of least squared error (Griffin and Lim, 1984, equation 6)."""
    window = torch.hamming_window(size, periodic=False, dtype=torch.float64)
    energy = torch.zeros_like(window)
    for shift in range(-(size // hop) * hop, size, hop):
        begin, end = max(shift, 0), min(size + shift, size)
        energy[begin:end] += window[begin - shift : end - shift] ** 2
    return window, window / energy


def _fourier(size: int, window: Tensor) -> list[nn.Parameter]:
    """Real and imaginary part of the windowed unitary DFT, each (f, n), with all `size` frequencies."""
    matrix = torch.fft.fft(torch.eye(size, dtype=torch.float64), norm="ortho") * window
    return [
        nn.Parameter(part.to(torch.get_default_dtype()).contiguous()) for part in (matrix.real, matrix.imag)
    ]
