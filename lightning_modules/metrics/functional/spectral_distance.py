"""Multi-resolution spectral distance of signals."""

import torch
from torch import Tensor

from lightning_modules.metrics.functional.signals import aligned

RESOLUTIONS = ((512, 50, 240), (1024, 120, 600), (2048, 240, 1200))
"""Transform length, hop and window in samples (Yamamoto et al. 2020)."""

_FLOOR = 1e-4  # of magnitudes, as auraloss has it


def multi_resolution_stft(
    estimate: Tensor, target: Tensor, *, resolutions: tuple[tuple[int, int, int], ...] = RESOLUTIONS
) -> Tensor:
    """Multi-resolution STFT distance (Yamamoto et al. 2020, eqs. 4 to 6), per clip (batch,), 0 at best.

    The mean over resolutions of spectral convergence |S - S^| / |S| (Frobenius norms of magnitudes) and of the mean
    absolute difference of the natural logarithms of magnitudes. A target without a magnitude above the floor of 1e-4
    has no spectral convergence: its logarithms alone count.

    Args:
        estimate: (batch, ..., time); both are mirrored at their ends, or continued by zeros for a transform of twice
            their length or more.
        target: The same shape.
        resolutions: Transform length, hop and Hann window in samples.
    """
    estimate, target = aligned(estimate, target)
    with torch.autocast(estimate.device.type, enabled=False):
        distances = [_distance(estimate, target, *resolution) for resolution in resolutions]
    return torch.stack(distances).mean(dim=0)


def _distance(estimate: Tensor, target: Tensor, n_fft: int, hop: int, length: int) -> Tensor:
    found, wanted = (_magnitude(signal, n_fft, hop, length) for signal in (estimate, target))
    norm = torch.linalg.vector_norm(wanted, dim=1)
    convergence = torch.linalg.vector_norm(wanted - found, dim=1) / norm
    audible = wanted.amax(dim=1) > _FLOOR
    return convergence * audible + (found.log() - wanted.log()).abs().mean(dim=1)


def _magnitude(signal: Tensor, n_fft: int, hop: int, length: int) -> Tensor:
    """Magnitudes of all channels, bins and frames of a clip, (batch, all)."""
    window = torch.hann_window(length, dtype=signal.dtype, device=signal.device)
    ends = "reflect" if signal.shape[-1] > n_fft // 2 else "constant"
    spectrum = torch.stft(
        signal.flatten(0, -2), n_fft, hop, length, window, pad_mode=ends, return_complex=True
    )
    # The root of a clamped power has a finite slope at silence, a modulus has none.
    power = torch.view_as_real(spectrum).square().sum(dim=-1)
    return power.clamp_min(_FLOOR**2).sqrt().reshape(len(signal), -1)
