"""Where hits begin, and how far from where they should."""

import torch
import torch.nn.functional as F
import torchaudio.functional
from torch import Tensor

_SMOOTH_S = 0.002
_AROUND_S = 0.1  # of a line: what is compared
_MOST_S = 0.08  # error that is looked for
_HOP_S, _WINDOW_S = 0.002, 0.016  # of the spectra that onsets are found in
_APART_S = 0.05  # what begins sooner after an onset belongs to it
_RISE_DB = 5.0  # mean over the spectrum: less is no onset
_FLOOR_DB = -60.0  # under the greatest magnitude: what is softer does not rise
_SOFTEST_DB = -30.0  # peak under that of the recording: what is softer is no hit
_THRESHOLD = 0.1  # of the peak: the sample where a hit begins


def onset_errors_ms(estimate: Tensor, target: Tensor, lines_s: list[float], *, sample_rate: int) -> Tensor:
    """How much later than in the target the hits at some lines begin: (line,) in ms, up to 80 either way.

    The lag of the greatest cross-correlation of what rises in both envelopes, within 100 ms of the line.

    Args:
        estimate: (time,).
        target: (time,), whose hits begin on the lines.
        lines_s: Lines in seconds.
        sample_rate: In Hz.
    """
    around = round(_AROUND_S * sample_rate)
    most = round(_MOST_S * sample_rate)
    padded = [F.pad(_rise(signal, sample_rate), (around, around)) for signal in (estimate, target)]
    begins = [round(line_s * sample_rate) for line_s in lines_s]
    found, wanted = (torch.stack([p[b : b + 2 * around] for b in begins]) for p in padded)
    size = 4 * around
    spectrum = torch.fft.rfft(found, size) * torch.fft.rfft(wanted, size).conj()
    correlation = torch.fft.irfft(spectrum, size).roll(most, dims=1)[:, : 2 * most + 1]
    return (correlation.argmax(dim=1) - most) * (1000 / sample_rate)


def _rise(signal: Tensor, sample_rate: int) -> Tensor:
    """Rectified slope of the envelope: a hit counts where it begins, not where it rings."""
    window = torch.hann_window(2 * round(_SMOOTH_S * sample_rate) + 1, dtype=torch.float64)
    envelope = torchaudio.functional.fftconvolve(signal.double().abs().cpu(), window, mode="same")
    return envelope.diff(prepend=envelope[:1]).clamp_min(0)


def detect_onsets(waveform: Tensor, *, sample_rate: int) -> Tensor:
    """Finds where hits begin, by thresholds alone: int64 (hit,) samples of (time,), ascending.

    Log spectra that rise over 10 ms (spectral flux) tell that there is a hit, also within the ring of a louder one;
    the first sample above a tenth of the peak that follows, over what was before, tells where it begins.
    """
    hop, window = round(_HOP_S * sample_rate), round(_WINDOW_S * sample_rate)
    signal = F.pad(waveform.float(), (window, 0))
    spectra = torch.stft(
        signal, window, hop, window=torch.hann_window(window, device=signal.device), return_complex=True
    ).abs()  # (frequency, frame)
    decibels = 20 * (spectra / spectra.max().clamp_min(1e-9)).clamp_min(10 ** (_FLOOR_DB / 20)).log10()
    rise = (decibels[:, 5:] - decibels[:, :-5]).clamp_min(0).mean(dim=0)
    rise[max((len(signal) - window // 2) // hop - 4, 0) :] = 0  # windows that reach behind the end
    apart = round(_APART_S / _HOP_S)
    peaks = (rise == F.max_pool1d(rise[None], 2 * apart + 1, 1, apart)[0]) & (rise > _RISE_DB)
    loud = waveform.abs().max() * 10 ** (_SOFTEST_DB / 20)
    found = {
        _begin(waveform.float(), max(int(frame) * hop + 2 * hop - window, 0), sample_rate)
        for frame in peaks.nonzero()
    }
    heard = [place for place in found if waveform[place : place + 2 * window].abs().max() > loud]
    return torch.tensor(sorted(heard), dtype=torch.int64)


def _begin(waveform: Tensor, near: int, sample_rate: int) -> int:
    """The first sample from 15 ms before `near` on that stands out."""
    reach = round(0.015 * sample_rate)
    start = max(near - reach, 0)
    before = waveform[max(start - reach, 0) : start].abs()
    after = waveform[start : near + 2 * reach].abs()
    level = before.max() if len(before) else after.new_zeros(())
    threshold = level + _THRESHOLD * (after.max() - level)
    above = (after > threshold).nonzero()
    return start + (int(above[0]) if len(above) else min(reach, len(after) - 1))
