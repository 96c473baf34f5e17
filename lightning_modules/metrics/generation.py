"""How near generated sounds are to real ones, and how far from each other."""

from typing import NamedTuple

import torch
import torchaudio
from torch import Tensor

_NUM_MELS, _NUM_PARTS = 40, 4
_FLOOR_DB = -40.0
_WINDOW_S = 0.064


class Description(NamedTuple):
    """What sounds are compared by.

    Attributes:
        features: (sound, 160) log mel spectra of four equal parts of time, in dB.
        power: (sound, 4) mean power of the parts.
    """

    features: Tensor
    power: Tensor


def describe(waveform: Tensor, *, sample_rate: int) -> Description:
    """Describes sounds (batch, 1, time).

    40 mel bands of the power spectrum, in which white noise of variance 1 has density 1, averaged over each quarter of
    the time, in dB, -40 at least.
    """
    with torch.autocast(waveform.device.type, enabled=False):
        waveform = waveform[:, 0].float()
        size = 2 ** round(_WINDOW_S * sample_rate).bit_length() // 2
        mel = torchaudio.transforms.MelSpectrogram(
            sample_rate, size, hop_length=size // 4, n_mels=_NUM_MELS, normalized=True
        ).to(waveform.device)(waveform)  # (sound, mel, frame)
        parts = [part.mean(dim=2) for part in mel.tensor_split(_NUM_PARTS, dim=2)]
        features = 10 * torch.stack(parts, dim=2).clamp_min(10 ** (_FLOOR_DB / 10)).log10()
        power = [part.square().mean(dim=1) for part in waveform.tensor_split(_NUM_PARTS, dim=1)]
    return Description(features.flatten(1), torch.stack(power, dim=1))


def compare(generated: Description, real: Description) -> dict[str, float]:
    """Sums up two sets of sounds.

    Returns:
        ``frechet``: squared Fréchet distance of two Gaussians of the features with diagonal covariance (Heusel et al.,
        2017, on other features); ``envelope_ratio``: power of the first quarter over the last, ``rms``, and
        ``spread``, the mean distance of two sounds' features, each beside that of the ``real`` ones.
    """
    ours, theirs = (d.features.double() for d in (generated, real))
    mean = (ours.mean(dim=0) - theirs.mean(dim=0)).square().sum()
    deviation = (ours.std(dim=0, correction=0) - theirs.std(dim=0, correction=0)).square().sum()
    figures = {"frechet": float(mean + deviation)}
    for name, description in (("", generated), ("_real", real)):
        power = description.power.double().mean(dim=0)
        figures |= {
            f"envelope_ratio{name}": float(power[0] / power[-1].clamp_min(1e-12)),
            f"rms{name}": float(power.mean().sqrt()),
            f"spread{name}": _spread(description.features.double()),
        }
    return figures


def likeness(generated: Tensor, real: Tensor) -> Tensor:
    """Greatest normalised cross-correlation of each generated sound with any real one: (generated,) in [0, 1].

    Args:
        generated: (generated, time).
        real: (real, time).
    """
    size = 2 * real.shape[1]
    ours, theirs = (_spectrum(sounds, size) for sounds in (generated, real))
    return torch.stack([torch.fft.irfft(theirs * one.conj(), size).abs().amax() for one in ours])


def _spectrum(sounds: Tensor, size: int) -> Tensor:
    sounds = sounds.float()
    return torch.fft.rfft(sounds / sounds.norm(dim=1, keepdim=True).clamp_min(1e-9), size)


def _spread(features: Tensor) -> float:
    """Mean distance between two rows; 0 of one alone."""
    return float(torch.pdist(features).mean()) if len(features) > 1 else 0.0
