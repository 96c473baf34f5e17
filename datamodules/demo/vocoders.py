"""Systems that make spoofed speech of recorded speech: what was said stays, what voices have is lost.

Training systems A01 to A04 and evaluation systems A07 to A10 differ in kind, as in ASVspoof 2019.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from scipy.fft import dct, idct
from scipy.linalg import solve_toeplitz
from scipy.signal import ShortTimeFFT, lfilter
from scipy.signal.windows import hann

from datamodules.demo.signals import Signal
from datamodules.demo.speech import FRAME, RATE, Score, formant_filter, frication, glottal_pulses


def pulse_vocoder(speech: Signal, score: Score, random: Generator) -> Signal:
    """A01: formant synthesis with regular pulses, without breath."""
    pulses = glottal_pulses(score.pitch, len(speech), random, jitter=0.0, shimmer=0.0)
    source = lfilter([1.0, -0.9], [1.0, -1.2, 0.36], pulses) * np.repeat(score.voicing, FRAME)
    voiced = formant_filter(source, np.repeat(score.formants[::4], 4, axis=0)[: len(score.pitch)])
    return voiced / (voiced.std() + 1e-9) + frication(score, random)


def mel_griffin_lim(speech: Signal, _score: Score, random: Generator) -> Signal:
    """A02: phases found again from 60 mel bands."""
    return _griffin_lim(speech, random, bands=60, hop=256, size=1024, rounds=12)


def lpc_vocoder(speech: Signal, score: Score, random: Generator) -> Signal:
    """A03: linear prediction of order 16 with coarsely quantised gains and a pulse or noise residual."""
    size, hop = 480, 160
    pulses = glottal_pulses(score.pitch, len(speech), random, jitter=0.0, shimmer=0.0)
    noise = random.standard_normal(len(speech))
    out, window = np.zeros(len(speech) + size), hann(size, sym=False)
    for begin in range(0, len(speech) - size, hop):
        frame = speech[begin : begin + size] * window
        correlation = np.correlate(frame, frame, "full")[size - 1 : size + 16]
        correlation[0] = correlation[0] * 1.0001 + 1e-9
        predictor = solve_toeplitz(correlation[:16], correlation[1:])
        power = max(correlation[0] - predictor @ correlation[1:], 1e-12)
        gain = 2 ** (np.round(2 * np.log2(power)) / 4)  # steps of 3 dB
        voiced = score.voicing[min(begin // FRAME + 3, len(score.voicing) - 1)] > 0.3
        source = (pulses if voiced else noise)[begin : begin + size]
        source = source / np.sqrt(np.sum((source * window) ** 2) + 1e-9)
        out[begin : begin + size] += lfilter([gain], np.r_[1, -predictor], source) * window
    return out[: len(speech)]


def flat_phase(speech: Signal, _score: Score, _random: Generator) -> Signal:
    """A04: the short-time magnitudes with minimal phases of a smooth envelope: every period alike."""
    transform = _stft(512, 128)
    spectrum = np.abs(transform.stft(speech))
    phase = 2 * np.pi * np.cumsum(np.full(spectrum.shape[1], 128 / RATE)) * transform.f[:, None]
    return transform.istft(spectrum * np.exp(1j * phase), k1=len(speech))


def cepstral_vocoder(speech: Signal, score: Score, random: Generator) -> Signal:
    """A07: pulses and noise through envelopes of 30 cepstral coefficients."""
    transform = _stft(1024, 128)
    envelope = np.abs(transform.stft(speech))
    cepstrum = np.asarray(dct(np.log(envelope + 1e-6), axis=0, norm="ortho"))
    cepstrum[30:] = 0
    envelope = np.exp(np.asarray(idct(cepstrum, axis=0, norm="ortho")))
    pulses = glottal_pulses(score.pitch, len(speech), random, jitter=0.0, shimmer=0.0)
    source = np.repeat(score.voicing > 0.3, FRAME) * pulses * 8
    source = source + (1 - np.repeat(score.voicing > 0.3, FRAME)) * random.standard_normal(len(speech))
    return transform.istft(transform.stft(source) * envelope, k1=len(speech))


def sinusoidal(speech: Signal, score: Score, random: Generator) -> Signal:
    """A08: only harmonics, their amplitudes read off a spectrogram, and noise where there is no voice."""
    transform = _stft(1024, 80)
    spectrum = np.abs(transform.stft(speech)) / 256
    times = np.arange(len(speech))
    pitch = np.interp(times / FRAME, np.arange(len(score.pitch)), score.pitch)
    phase, voiced = 2 * np.pi * np.cumsum(pitch) / RATE, np.zeros(len(speech))
    frames = np.clip(np.arange(len(score.pitch)) - transform.p_min, 0, spectrum.shape[1] - 1)
    for harmonic in range(1, int(7600 / score.pitch.max())):
        bins = np.round(score.pitch * harmonic * 1024 / RATE).astype(int)
        amplitude = np.interp(times / FRAME, np.arange(len(bins)), spectrum[np.minimum(bins, 512), frames])
        voiced += amplitude * np.cos(harmonic * phase)
    voiced *= np.repeat(np.clip(3 * score.voicing, 0, 1), FRAME)
    return voiced / (voiced.std() + 1e-9) + frication(score, random)


def coarse_griffin_lim(speech: Signal, _score: Score, random: Generator) -> Signal:
    """A09: phases found again from 40 mel bands of short frames."""
    return _griffin_lim(speech, random, bands=40, hop=128, size=512, rounds=20)


def frame_codec(speech: Signal, _score: Score, random: Generator) -> Signal:
    """A10: magnitudes held for 24 ms and rounded to 6 dB, with the noise of random phases above 3 kHz."""
    transform = _stft(512, 128)
    spectrum = transform.stft(speech)
    held = np.repeat(np.abs(spectrum)[:, ::3], 3, axis=1)[:, : spectrum.shape[1]]
    rounded = 2.0 ** np.round(np.log2(held + 1e-6))
    random_phase = random.uniform(-np.pi, np.pi, spectrum.shape)
    phase = np.where(transform.f[:, None] > 3000, random_phase, np.angle(spectrum))
    return transform.istft(rounded * np.exp(1j * phase), k1=len(speech))


Vocoder = Callable[[Signal, Score, Generator], Signal]
TRAINING_SYSTEMS: dict[str, Vocoder] = {
    "A01": pulse_vocoder,
    "A02": mel_griffin_lim,
    "A03": lpc_vocoder,
    "A04": flat_phase,
}
EVALUATION_SYSTEMS: dict[str, Vocoder] = {
    "A07": cepstral_vocoder,
    "A08": sinusoidal,
    "A09": coarse_griffin_lim,
    "A10": frame_codec,
}


def _stft(size: int, hop: int) -> ShortTimeFFT:
    return ShortTimeFFT(hann(size, sym=False), hop, RATE)


def _griffin_lim(
    speech: Signal, random: Generator, *, bands: int, hop: int, size: int, rounds: int
) -> Signal:
    """Griffin and Lim, 1984, from magnitudes that went through mel bands and back."""
    transform = _stft(size, hop)
    mel = _mel_bands(transform.f, bands)
    magnitude = np.linalg.pinv(mel) @ (mel @ np.abs(transform.stft(speech)))
    magnitude = np.maximum(magnitude, 0)
    spectrum = magnitude * np.exp(1j * random.uniform(-np.pi, np.pi, magnitude.shape))
    for _ in range(rounds):
        consistent = transform.stft(transform.istft(spectrum, k1=len(speech)))
        spectrum = magnitude * np.exp(1j * np.angle(consistent))
    return transform.istft(spectrum, k1=len(speech))


def _mel_bands(frequency: Signal, bands: int) -> Signal:
    """(band, bin) triangles, evenly spaced in mel up to the Nyquist rate."""
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + RATE / 1400), bands + 2) / 2595) - 1)
    rising = (frequency - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequency) / np.diff(edges)[1:, None]
    return np.clip(np.minimum(rising, falling), 0, None)
