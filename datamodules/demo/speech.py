"""A source-filter talker: glottal pulses with natural irregularity, moving formants, frication, breath.

The model is that of Fant, Acoustic Theory of Speech Production, 1960, with the formant frequencies of
Peterson and Barney, 1952, and the jitter and shimmer of healthy voices (about 1 % and 5 %).
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.signal import lfilter

from datamodules.demo.signals import Signal, band

RATE = 16000
FRAME = 80  # 5 ms: formants move little within
_VOWELS = np.array(
    [[270, 2290, 3010], [390, 1990, 2550], [530, 1840, 2480], [660, 1720, 2410], [730, 1090, 2440],
     [570, 840, 2410], [440, 1020, 2240], [300, 870, 2240], [640, 1190, 2390], [490, 1350, 1690]],
    np.float64,
)  # fmt: skip
_HIGH_FORMANTS = [3500.0, 4500.0, 5600.0, 6800.0]


@dataclass(frozen=True)
class Speaker:
    """What stays the same between the utterances of a voice.

    Attributes:
        pitch: Median fundamental frequency in Hz.
        tract: Scale of the formants, 1 for an adult man.
        breath: Aspiration relative to the voice.
        effort: Cut-off of the glottal source in Hz: louder voices are brighter.
    """

    pitch: float
    tract: float
    breath: float
    effort: float

    @classmethod
    def draw(cls, random: Generator) -> "Speaker":
        """A new voice."""
        tract = random.uniform(0.95, 1.22)
        pitch = 110 * (tract / 0.98) ** 2.8 * random.uniform(0.9, 1.1)
        return cls(pitch, tract, random.uniform(0.03, 0.08), random.uniform(900, 1800))


@dataclass(frozen=True)
class Score:
    """What is said: per-frame tracks that speech and vocoders are made from.

    Attributes:
        pitch: (frame,) Hz.
        voicing: (frame,) amplitude of the voice.
        frication: (frame,) amplitude of the noise made in the mouth.
        formants: (frame, formant) Hz.
        hiss: Band of the frication in Hz.
    """

    pitch: Signal
    voicing: Signal
    frication: Signal
    formants: Signal
    hiss: tuple[float, float]


def compose(speaker: Speaker, seconds: float, random: Generator) -> Score:
    """Draw an utterance: syllables of a consonant and a vowel under one falling intonation."""
    num_frames = round(seconds * RATE / FRAME)
    frames = np.arange(num_frames)
    voicing, frication = np.zeros(num_frames), np.zeros(num_frames)
    places, targets = [], []
    position = int(random.integers(4, 12))
    while position < num_frames:
        noise, vowel = int(random.integers(5, 18)), int(random.integers(16, 44))
        kind = random.random()
        if kind < 0.45:  # fricative
            frication[position : position + noise] = random.uniform(0.15, 0.5)
        elif kind < 0.6:  # stop: closure, then a burst
            frication[position + noise - 2 : position + noise] = random.uniform(0.4, 0.9)
        else:  # voiced consonant
            voicing[position : position + noise] = random.uniform(0.15, 0.35)
        voicing[position + noise : position + noise + vowel] = random.uniform(0.6, 1.0)
        target = _VOWELS[random.integers(len(_VOWELS))] * random.normal(1, 0.04, 3)
        places += [position + noise + vowel // 4, position + noise + 3 * vowel // 4]
        targets += [target, target * random.normal(1, 0.03, 3)]
        position += noise + vowel + (int(random.integers(6, 20)) if random.random() < 0.15 else 0)
    low = np.stack([np.interp(frames, places, np.array(targets)[:, i]) for i in range(3)], axis=1)
    high = np.tile(_HIGH_FORMANTS, (num_frames, 1))
    formants = _smooth(np.concatenate([low, high], axis=1) * speaker.tract, 8)
    intonation = random.normal(0, 0.05, num_frames // 12 + 2)
    drift = np.interp(frames, np.arange(len(intonation)) * 12, intonation)
    pitch = speaker.pitch * np.exp(_smooth((drift + 0.15 * (0.5 - frames / num_frames))[:, None], 12)[:, 0])
    low_edge = random.uniform(1800, 4200)
    return Score(
        pitch,
        _smooth(voicing[:, None], 4)[:, 0],
        _smooth(frication[:, None], 2)[:, 0],
        np.minimum(formants, 7600.0),
        (low_edge, 7900.0),
    )


def speak(score: Score, speaker: Speaker, random: Generator) -> Signal:
    """Utter a score with the irregularities of a throat."""
    num_samples = len(score.pitch) * FRAME
    voicing = _per_sample(score.voicing)
    pulses = glottal_pulses(score.pitch, num_samples, random, jitter=0.01, shimmer=0.06)
    flow = _glottis(pulses, speaker)
    puff = random.standard_normal(num_samples) * speaker.breath
    # turbulence is strongest while the glottis is open
    opening = np.asarray(lfilter([1.0], [1.0, -0.97], np.abs(flow)))
    source = voicing * (flow + puff * (0.3 + opening / (opening.max() + 1e-9)))
    voiced = formant_filter(source, score.formants, random.uniform(0.9, 1.15))
    return voiced / (voiced.std() + 1e-9) + frication(score, random)


def glottal_pulses(
    pitch: Signal, num_samples: int, random: Generator, *, jitter: float, shimmer: float
) -> Signal:
    """A pulse a period, at places between samples; period and height vary by `jitter` and `shimmer`."""
    pulses = np.zeros(num_samples + 2)
    time = random.uniform(0, 100)
    while time < num_samples:
        whole, part = int(time), time % 1
        height = 1 + shimmer * random.standard_normal()
        pulses[whole : whole + 2] += height * np.array([1 - part, part])
        time += RATE / pitch[min(whole // FRAME, len(pitch) - 1)] * (1 + jitter * random.standard_normal())
    return pulses[:num_samples]


def formant_filter(source: Signal, formants: Signal, width: float = 1.0) -> Signal:
    """A cascade of resonators whose frequencies (frame, formant) move frame by frame."""
    out = source.copy()
    for i in range(formants.shape[1]):
        bandwidth = width * (50 + 0.035 * formants[:, i])
        radius = np.exp(-np.pi * bandwidth / RATE)
        first, second = -2 * radius * np.cos(2 * np.pi * formants[:, i] / RATE), radius**2
        state = np.zeros(2)
        for k in range(len(formants)):
            span = slice(k * FRAME, (k + 1) * FRAME)
            gain = 1 + first[k] + second[k]
            out[span], state = lfilter([gain], [1, first[k], second[k]], out[span], zi=state)
    return out


def frication(score: Score, random: Generator) -> Signal:
    """Noise of fricatives and bursts."""
    noise = random.standard_normal(len(score.pitch) * FRAME)
    return band(noise, RATE, score.hiss) * _per_sample(score.frication)


def _glottis(pulses: Signal, speaker: Speaker) -> Signal:
    """Pulses as the derivative of flow: two real poles, as bright as the speaker's effort."""
    pole = np.exp(-2 * np.pi * speaker.effort / RATE)
    return np.asarray(lfilter([1.0, -0.9], [1.0, -2 * pole, pole**2], pulses))


def _per_sample(track: Signal) -> Signal:
    return np.interp(np.arange(len(track) * FRAME) / FRAME, np.arange(len(track)), track)


def _smooth(tracks: Signal, width: int) -> Signal:
    """Moving average of (frame, track) over about `width` frames."""
    kernel = np.hanning(width + 2)[1:-1]
    padded = np.pad(tracks, ((width // 2, width - 1 - width // 2), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, kernel / kernel.sum(), "valid") for column in padded.T], axis=1)
