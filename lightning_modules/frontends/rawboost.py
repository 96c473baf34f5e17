"""RawBoost: convolutive, impulsive and stationary noise on raw waveforms."""

import torch
from torch import Tensor, nn

from lightning_modules.frontends.fir import convolve

Range = tuple[float, float]

SERIES = {
    1: ("convolutive",),
    2: ("impulsive",),
    3: ("stationary",),
    4: ("convolutive", "impulsive", "stationary"),
    5: ("convolutive", "impulsive"),
    6: ("convolutive", "stationary"),
    7: ("impulsive", "stationary"),
}
PARALLEL = 8  # convolutive and impulsive noise of the same waveform, added


class RawBoost(nn.Module):
    """Augment raw waveforms by RawBoost (Tak et al. 2022, arXiv:2111.04433), in training only.

    Defaults are the official implementation's. Draws are made for every waveform on its own, on the
    generator of its device. Two differences: noise is drawn for the clip as it enters the network and not for
    the whole utterance, and impulsive noise hits each sample with probability beta instead of exactly the
    fraction beta of them.

    Args:
        algorithm: 1 linear and non-linear convolutive noise, 2 impulsive signal-dependent noise, 3 stationary
            signal-independent noise, 4 is 1+2+3 in series, 5 is 1+2, 6 is 1+3, 7 is 2+3, 8 is 1 and 2 in
            parallel.
        sample_rate: Of the waveforms, in Hz.
        num_notches: Notches of a filter.
        centre_hz: Range of their centres.
        bandwidth_hz: Range of their widths.
        num_taps: Range of their lengths; even lengths are raised by one.
        gain_db: Range of a filter's maximum gain.
        num_orders: Highest power of the waveform in the convolutive noise.
        nonlinear_loss_db: Range by which the gain of powers above the first is lower.
        impulse_percent: Greatest share of samples that impulsive noise hits.
        impulse_gain: Factor of the impulsive noise.
        snr_db: Range of the stationary noise's signal-to-noise ratio.
    """

    def __init__(
        self,
        algorithm: int = 5,
        *,
        sample_rate: int = 16_000,
        num_notches: int = 5,
        centre_hz: Range = (20.0, 8000.0),
        bandwidth_hz: Range = (100.0, 1000.0),
        num_taps: tuple[int, int] = (10, 100),
        gain_db: Range = (0.0, 0.0),
        num_orders: int = 5,
        nonlinear_loss_db: Range = (5.0, 20.0),
        impulse_percent: float = 10.0,
        impulse_gain: float = 2.0,
        snr_db: Range = (10.0, 40.0),
    ) -> None:
        super().__init__()
        if algorithm not in {*SERIES, PARALLEL}:
            raise ValueError(f"algorithm={algorithm}: RawBoost's algorithms are 1 to 8")
        self.algorithm = algorithm
        self.sample_rate = sample_rate
        self.num_notches = num_notches
        self.centre_hz = centre_hz
        self.bandwidth_hz = bandwidth_hz
        self.num_taps = num_taps
        self.gain_db = gain_db
        self.num_orders = num_orders
        self.nonlinear_loss_db = nonlinear_loss_db
        self.impulse_percent = impulse_percent
        self.impulse_gain = impulse_gain
        self.snr_db = snr_db

    def forward(self, waveform: Tensor) -> Tensor:
        """Augment (batch, time) or (batch, channel, time) in [-1, 1]; only algorithms with 3 may leave it."""
        if not self.training:
            return waveform
        x = waveform.reshape(-1, waveform.shape[-1]).float()
        if self.algorithm == PARALLEL:
            x = limit(self.convolutive(x) + self.impulsive(x))
        else:
            for step in SERIES[self.algorithm]:
                x = getattr(self, step)(x)
        return x.view_as(waveform).to(waveform.dtype)

    def convolutive(self, x: Tensor) -> Tensor:
        """Sum powers of x (batch, time), each through its own notch filter; higher powers are weaker."""
        gain = uniform((len(x), self.num_orders), self.gain_db, x.device)
        gain[:, 1:] -= uniform((len(x), self.num_orders - 1), self.nonlinear_loss_db, x.device)
        powers = x.unsqueeze(1).expand(-1, self.num_orders, -1).cumprod(1)  # (batch, order, time)
        y = convolve(powers, self.notch_filters(gain)).sum(1)
        return limit(y - y.mean(-1, keepdim=True))

    def impulsive(self, x: Tensor) -> Tensor:
        """Disturb random samples of x (batch, time) in proportion to their amplitude."""
        probability = uniform((len(x), 1), (0.0, self.impulse_percent / 100), x.device)
        factor = (2 * torch.rand_like(x) - 1) * (2 * torch.rand_like(x) - 1)
        hit = torch.rand_like(x) < probability
        return limit(x + self.impulse_gain * x * factor * hit)

    def stationary(self, x: Tensor) -> Tensor:
        """Add white noise through a notch filter to x (batch, time) at a random signal-to-noise ratio."""
        gain = uniform((len(x),), self.gain_db, x.device)
        noise = convolve(torch.randn_like(x), self.notch_filters(gain))
        level = x.norm(dim=-1, keepdim=True) / noise.norm(dim=-1, keepdim=True)
        return x + noise * level * 10 ** (-uniform((len(x), 1), self.snr_db, x.device) / 20)

    def notch_filters(self, gain_db: Tensor) -> Tensor:
        """Cascades of random notches (..., taps), the maximum gain of each `gain_db` (...)."""
        shape = (*gain_db.shape, self.num_notches)
        low, high = self.num_taps
        taps = torch.randint(low, high, shape, device=gain_db.device) // 2 * 2 + 1
        centre = uniform(shape, self.centre_hz, gain_db.device)
        bandwidth = uniform(shape, self.bandwidth_hz, gain_db.device)
        bank = notches(centre, bandwidth, taps, sample_rate=self.sample_rate, max_taps=(high - 1) | 1)
        return cascade(bank, gain_db)


def notches(
    centre_hz: Tensor, bandwidth_hz: Tensor, num_taps: Tensor, *, sample_rate: int, max_taps: int
) -> Tensor:
    """Design band-stop filters by the window method (Hamming), each with its own odd length.

    Args:
        centre_hz: (...), centres of the stopped bands.
        bandwidth_hz: (...), their widths; bands are cut at 0 Hz and half the sample rate.
        num_taps: (...), lengths, odd.
        sample_rate: In Hz.
        max_taps: Length of the result, odd.

    Returns:
        (..., max_taps), centred, zero beyond their own lengths, positive at 0 Hz but not scaled to one there:
        a notch that reaches 0 Hz may have no gain to divide by.
    """
    nyquist = sample_rate / 2
    n = torch.arange(max_taps, device=centre_hz.device) - max_taps // 2
    low = (centre_hz - bandwidth_hz / 2).clamp(min=1e-3).unsqueeze(-1) / nyquist
    high = (centre_hz + bandwidth_hz / 2).clamp(max=nyquist - 1e-3).unsqueeze(-1) / nyquist
    ideal = (n == 0) + low * torch.sinc(low * n) - high * torch.sinc(high * n)
    reach = (num_taps.unsqueeze(-1) - 1) / 2
    window = (0.54 + 0.46 * torch.cos(torch.pi * n / reach)) * (n.abs() <= reach)
    filters = ideal * window
    return torch.where(filters.sum(-1, keepdim=True) < 0, -filters, filters)


def cascade(filters: Tensor, gain_db: Tensor) -> Tensor:
    """Convolve filters (..., filter, taps) with each other and scale the maximum gain to `gain_db` (...).

    Returns:
        (..., filter * (taps - 1) + 3): two zeros follow, for the official filtering is one sample early.
    """
    num_filters, taps = filters.shape[-2:]
    length = num_filters * (taps - 1) + 3
    n_fft = 1 << max(10, length.bit_length())
    spectrum = torch.fft.rfft(filters, n=n_fft).prod(-2)
    peak = spectrum[..., :-1].abs().amax(-1)  # officially without the Nyquist bin
    scale = 10 ** (gain_db / 20) / peak
    return torch.fft.irfft(spectrum * scale.unsqueeze(-1), n=n_fft)[..., :length]


def uniform(shape: tuple[int, ...], span: Range, device: torch.device) -> Tensor:
    """Draw float32 of a shape from U(*span)."""
    return torch.empty(shape, device=device).uniform_(*span)


def limit(x: Tensor) -> Tensor:
    """Scale each waveform (batch, time) into [-1, 1] if it leaves it."""
    return x / x.abs().amax(-1, keepdim=True).clamp(min=1)
