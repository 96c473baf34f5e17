"""Masked speech modelling: only a random band of the spectrum passes."""

import math

import torch
from scipy.signal import freqz, remez
from torch import Tensor, nn

from lightning_modules.frontends.fir import convolve

STOP_BAND_WEIGHT = 2.0  # a band-pass adds the stop-band ripple of its mirror image to its own


class BandPassMask(nn.Module):
    """Pass one random band of each waveform and suppress the rest (paper section 3.1.1).

    The paper designs a band-pass by the Remez algorithm for each drawn band, 3 to 5 ms a filter. Here Remez
    designs one low-pass of half the band's width, which is then modulated to the centre of each band: any
    band costs a cosine, is as good as any other, and needs no bank on a grid of frequencies. Direct designs
    of 201 taps reach -37.7 dB in the worst of 2,000 stop bands, modulated ones -37.5 dB; their pass bands
    stay within 0.18 dB.

    Bands are drawn uniformly from all that leave room for both transitions: 160 to 5840 Hz for the lower
    edge under the defaults. Draws come from the generator of the waveform's device.

    Args:
        num_taps: Length of the filters, odd. Fewer taps leak more (101: -22 dB) and ripple more.
        sample_rate: Of the waveforms, in Hz.
        bandwidth_hz: Width of the pass band.
        transition_hz: Width of the transition on either side.
    """

    prototype: Tensor

    def __init__(
        self,
        num_taps: int = 201,
        *,
        sample_rate: int = 16_000,
        bandwidth_hz: float = 2000.0,
        transition_hz: float = 160.0,
    ) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.bandwidth_hz = bandwidth_hz
        self.lowest_hz = transition_hz
        self.highest_hz = sample_rate / 2 - bandwidth_hz - transition_hz
        if self.highest_hz < self.lowest_hz:
            raise ValueError(
                f"bandwidth_hz={bandwidth_hz:g} with transition_hz={transition_hz:g} on either side does not "
                f"fit below {sample_rate / 2:g} Hz; narrow the band or raise sample_rate={sample_rate}"
            )
        prototype = low_pass(num_taps, bandwidth_hz / 2, transition_hz, sample_rate)
        self.register_buffer("prototype", prototype, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Mask (batch, time) or (batch, channel, time); channels share their sample's band."""
        filters = self.filters(self.draw(len(waveform), waveform.device))
        if waveform.ndim == 3:
            filters = filters.unsqueeze(1)
        return convolve(waveform, filters).to(waveform.dtype)

    def draw(self, batch: int, device: torch.device | None = None) -> Tensor:
        """Draw the lower edges of random bands, float32 (batch,) in Hz."""
        return torch.empty(batch, device=device).uniform_(self.lowest_hz, self.highest_hz)

    def filters(self, f_min: Tensor) -> Tensor:
        """Band-pass filters (batch, taps) whose bands begin at `f_min` (batch,), in Hz."""
        taps = self.prototype.shape[-1]
        n = torch.arange(taps, device=f_min.device) - taps // 2
        centre = 2 * math.pi * (f_min + self.bandwidth_hz / 2) / self.sample_rate
        return 2 * self.prototype * torch.cos(centre.unsqueeze(-1) * n)


def low_pass(num_taps: int, edge_hz: float, transition_hz: float, sample_rate: int) -> Tensor:
    """Design a linear-phase low-pass by the Remez exchange and check that it converged.

    Args:
        num_taps: Odd length.
        edge_hz: End of the pass band.
        transition_hz: From there to the stop band.
        sample_rate: In Hz.

    Returns:
        float32 (num_taps,).

    Raises:
        ValueError: If the length is even, or the ripple exceeds twice Kaiser's estimate for it: the exchange
            of some lengths ends far from the optimum without a word.
    """
    if num_taps < 3 or num_taps % 2 == 0:
        raise ValueError(f"num_taps={num_taps} must be odd, so that the filter's delay is whole; take 201")
    bands = [0, edge_hz, edge_hz + transition_hz, sample_rate / 2]
    taps = remez(
        num_taps,
        bands,
        [1, 0],
        weight=[1, STOP_BAND_WEIGHT],
        fs=sample_rate,
        maxiter=200,  # the defaults, 25 iterations on a grid of 16, leave some lengths unconverged
        grid_density=32,
    )
    frequency, response = freqz(taps, worN=16 * num_taps, fs=sample_rate)
    passing, stopping = abs(response[frequency <= edge_hz]), abs(response[frequency >= bands[2]])
    ripple = max(abs(passing - 1).max(), STOP_BAND_WEIGHT * stopping.max()) / math.sqrt(STOP_BAND_WEIGHT)
    expected = 10 ** -((14.6 * (num_taps - 1) * transition_hz / sample_rate + 13) / 20)
    if ripple > 2 * expected:
        raise ValueError(
            f"num_taps={num_taps}: the Remez design of this length did not converge (ripple {ripple:.2g}, "
            f"expected about {expected:.2g}); take another odd length, e.g. 201"
        )
    return torch.from_numpy(taps).float()
