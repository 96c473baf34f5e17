"""Local Gaussian model of sources and their late reverberation, and its expectation-maximisation.

Letters: n bins of clips, s sources, c = s + 1 components (the last is the late reverberation), t frames,
m channels, d taps of the late reverberation.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lightning_modules.frontends.linear_prediction import frame_power, inner, past
from lightning_modules.frontends.precision import Precision, invert

_LEAST_POWER = 1e-4  # of a source in a frame; bins have unit power
_LEAST_EIGENVALUE = 1e-5  # of R_i and Q
_LEAST_TRANSFER = 1e-6  # of a source's power to one frame of its late reverberation
_LATE_SHARE = 0.1  # of the sources' power that reverberates at first
_OTHERS_SHARE = 0.1  # of the power of a frame's own source that every other one has at first


@dataclass(frozen=True)
class LocalGaussian:
    """Covariance Sigma_t = sum_i v_it R_i + u_t Q of frame t, with u_t = sum_d a_d sum_i v_i,t-delay-d.

    Attributes:
        power: v, (n, s, t).
        transfer: a, from the sources' power to that of their late reverberation, oldest first, (n, d, 1).
        spatial: R_1 ... R_s and Q, Hermitian (n, c, m, m); their scale is theirs.
        delay: Frames from a source to the beginning of its late reverberation.
    """

    power: Tensor
    transfer: Tensor
    spatial: Tensor
    delay: int

    @classmethod
    def initial(cls, signal: Tensor, *, num_sources: int, delay: int, late_taps: int) -> "LocalGaussian":
        """Start from bins (n, t, m) of about unit power.

        No component has a direction. Sources differ in time: the first begins with most of the loudest frames,
        the last with most of the quietest.
        """
        bins, frames, channels = signal.shape
        power = frame_power(signal)
        rank = power.argsort(dim=-1, descending=True).argsort(dim=-1)
        source = torch.arange(num_sources, device=power.device)
        own = (rank * num_sources // frames).unsqueeze(1) == source.unsqueeze(-1)  # (n, s, t)
        share = torch.where(own, 1.0, _OTHERS_SHARE) / (1 + (num_sources - 1) * _OTHERS_SHARE)
        return cls(
            power=(share * power.unsqueeze(1)).clamp_min(_LEAST_POWER),
            transfer=power.new_full((bins, late_taps, 1), _LATE_SHARE / late_taps),
            spatial=torch.eye(channels, dtype=signal.dtype, device=signal.device).repeat(
                bins, num_sources + 1, 1, 1
            ),
            delay=delay,
        )

    def precision(self) -> Precision:
        """Inverse of Sigma_t, for every frame."""
        return invert(self._gains(), self.spatial)

    def sources(self, whitened: Tensor) -> Tensor:
        """Expected sources v_it R_i Sigma_t^-1 y_t, of whitened bins (n, t, m): (n, s, t, m)."""
        return self.power.unsqueeze(-1) * (whitened.unsqueeze(1) @ self.spatial[:, :-1].mT)

    def update(self, whitened: Tensor, precision: Precision) -> "LocalGaussian":
        """One round of expectation-maximisation.

        Args:
            whitened: s_t = Sigma_t^-1 y_t of the observed frames y_t, (n, t, m).
            precision: This model's.

        Returns:
            A model under which y is at least as likely.
        """
        gains = self._gains()
        whitened = whitened.unsqueeze(1)
        # A component of covariance g_t K has the posterior second moment C_t = g_t K + g_t^2 K D_t K with
        # D_t = s_t s_t^H - Sigma_t^-1, of which only traces and sums are needed.
        surplus = inner(whitened @ self.spatial.mT, whitened) - precision.traces(self.spatial)
        expected = gains + gains.square() * surplus / whitened.shape[-1]  # tr(K^-1 C_t) / m: (n, c, t)
        power = self._updated_power(gains, expected)
        transfer = replace(self, power=power)._updated_transfer(expected[:, -1:])
        model = replace(self, power=power, transfer=transfer)
        scale = _ratio(gains, model._gains())
        weights = scale * gains
        moment = (whitened * weights.unsqueeze(-1)).mT @ whitened.conj() - precision.sums(weights)
        return replace(model, spatial=model._updated_spatial(scale, moment))

    def _gains(self) -> Tensor:
        """Powers v and u of the components: (n, c, t)."""
        return torch.cat([self.power, (self._past_power() @ self.transfer).mT], dim=1)

    def _past_power(self) -> Tensor:
        """Power of all sources in the frames that reverberate in each one: (n, t, d)."""
        return past(self.power.sum(dim=1).unsqueeze(-1), delay=self.delay, taps=self.transfer.shape[1])

    def _reflected(self, late: Tensor) -> Tensor:
        """Sum of a_d times the frames (n, 1, t) that each one reverberates into, the adjoint: (n, 1, t)."""
        future = past(late.mT.flip(1), delay=self.delay, taps=self.transfer.shape[1])
        return (future @ self.transfer).flip(1).mT

    def _updated_power(self, gains: Tensor, expected: Tensor) -> Tensor:
        """Powers that minimise log v + E[v] / v and a convex bound of log u + E[u] / u, both touched by v."""
        late = gains[:, -1:]
        slope = self._reflected(_ratio(1, late))
        pull = self._reflected(_ratio(expected[:, -1:], late.square()))
        constant = expected[:, :-1] + self.power.square() * pull
        # The root of slope v^2 + v - constant, without cancellation.
        return (2 * constant / (1 + (1 + 4 * constant * slope).sqrt())).clamp_min(_LEAST_POWER)

    def _updated_transfer(self, expected: Tensor) -> Tensor:
        """Multiplicative update of a under log u + E[u] / u, for expected powers (n, 1, t)."""
        history = self._past_power()
        late = (history @ self.transfer).mT
        rise, fall = _ratio(expected, late.square()) @ history, _ratio(1, late) @ history
        return (self.transfer * _ratio(rise, fall).sqrt().mT).clamp_min(_LEAST_TRANSFER)

    def _updated_spatial(self, scale: Tensor, moment: Tensor) -> Tensor:
        """Mean of C_t over the new powers where there are any, no eigenvalue below the least: (n, c, m, m)."""
        frames = scale.new_tensor([scale.shape[-1]]).repeat(scale.shape[1])
        frames[-1] -= self.delay
        mean = self.spatial * scale.sum(dim=-1)[..., None, None] + self.spatial @ moment @ self.spatial
        values, vectors = torch.linalg.eigh(mean / frames[:, None, None])
        return vectors * values.clamp_min(_LEAST_EIGENVALUE).unsqueeze(-2) @ vectors.mH


def _ratio(numerator: Tensor | float, denominator: Tensor) -> Tensor:
    """Zero where the late reverberation has not begun and has no power, and for taps longer than the clip."""
    return torch.where(denominator > 0, numerator / denominator, 0)
