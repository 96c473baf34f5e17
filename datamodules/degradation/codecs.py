"""Codecs of FFmpeg, there and back in memory, without delay: what telephones, players and streams leave of a clip.

An encoder runs at a sample rate that it takes, and what it gives is brought back. Codecs hear ahead, fill a first frame
or lose one, each by its own number of samples, which also resampling may shift by a part of one: how late a chirp is
after the whole way is measured once, at the clip's rate, and every clip is taken from there on.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import chirp, correlate

from datamodules.audio.resampling import resample

Signal = NDArray[np.float32]

_SPARE_S = 0.15  # silence before and behind a clip: longer than the frames that any codec loses there
_CHIRP_HZ = (300.0, 3400.0)  # which telephones keep
_CHIRP_S = 0.5


class Format(NamedTuple):
    """How FFmpeg writes and reads one codec.

    Attributes:
        encoder: Its name there.
        container: What tells the decoder all it needs.
        sample_rates: In Hz, ascending; the lowest that holds the clip's is taken, else the highest.
        bit_rates: Bits a second of a clip: all that there are, the one taken unasked first.
        widest: Highest bit rate, where any from the lowest of `bit_rates` on will do.
        channels: Of the encoder; the clip's is repeated in each.
        options: Of the encoder.
    """

    encoder: str
    container: str
    sample_rates: tuple[int, ...]
    bit_rates: tuple[int, ...] = ()
    widest: int = 0
    channels: str = "mono"
    options: tuple[tuple[str, str], ...] = ()


_ANY = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_PHONE = (8000,)
_EXPERIMENTAL = (("strict", "experimental"),)

CODECS = {
    "mp3": Format("libmp3lame", "wav", _ANY, (32000, 8000), 320000),
    "aac": Format("aac", "nut", _ANY, (32000, 8000), 256000),
    "opus": Format("libopus", "nut", (48000,), (16000, 6000), 256000),
    "vorbis": Format(
        "vorbis", "nut", _ANY, channels="stereo", options=_EXPERIMENTAL
    ),  # FFmpeg's own, of one quality
    "wma": Format("wmav2", "wav", (16000, 22050, 32000, 44100, 48000), (32000, 24000), 192000),
    "ac3": Format("ac3", "wav", (32000, 44100, 48000), (64000, 32000), 640000),
    "g722": Format("g722", "wav", (16000,)),
    "g723": Format("g723_1", "wav", _PHONE, (6300,)),
    "g726": Format("g726", "wav", _PHONE, (32000, 16000, 24000, 40000)),
    "amrnb": Format("libopencore_amrnb", "wav", _PHONE, (12200, 4750, 5150, 5900, 6700, 7400, 7950, 10200)),
    "mulaw": Format("pcm_mulaw", "wav", _PHONE),
    "alaw": Format("pcm_alaw", "wav", _PHONE),
}
"""Name in a condition -> format."""


@dataclass(frozen=True)
class Codec:
    """A codec at a bit rate.

    Args:
        name: One of `CODECS`.
        bit_rate: In bits a second; None takes the codec's own.

    Raises:
        ValueError: There is no such codec, it does not have that rate, or this FFmpeg has no encoder for it.
    """

    name: str
    bit_rate: int | None = None

    def __post_init__(self) -> None:
        if self.name not in CODECS:
            raise ValueError(f"no codec {self.name!r}: choose one of {', '.join(CODECS)}")
        rates, widest = CODECS[self.name].bit_rates, CODECS[self.name].widest
        if self.bit_rate is not None and not (
            min(rates) <= self.bit_rate <= widest if widest else self.bit_rate in rates
        ):
            shown = ", ".join(f"{rate / 1000:g}k" for rate in sorted(rates))
            of_range = f"{shown.split(', ')[0]} to {widest / 1000:g}k" if widest else shown
            way_out = f"choose {of_range} bits a second" if rates else "leave the rate out, it has but one"
            raise ValueError(f"{self.name} does not run at {self.bit_rate / 1000:g}k: {way_out}")
        require_encoder(self.name)

    def __call__(self, waveform: Signal, sample_rate: int, _: Generator) -> Signal:
        """What is left of (channel, time), as long and at the same time; each channel is coded by itself."""
        late, size = _delay(self.name, sample_rate), waveform.shape[1]
        heard = np.stack([self._heard(channel, sample_rate)[late : late + size] for channel in waveform])
        return np.pad(heard, ((0, 0), (0, size - heard.shape[1])))

    def _heard(self, channel: Signal, sample_rate: int) -> Signal:
        """(time,) of (time,) through the codec, late by what it takes, and at most cut short in the silence behind."""
        form = CODECS[self.name]
        rate = next((rate for rate in form.sample_rates if rate >= sample_rate), form.sample_rates[-1])
        spare = round(_SPARE_S * sample_rate)
        source = _resample(np.pad(channel, (spare, 2 * spare)), sample_rate, rate)
        bit_rate = self.bit_rate or next(iter(form.bit_rates), None)
        file = io.BytesIO()
        try:
            _encode(file, source, form, rate, bit_rate)
            file.seek(0)
            decoded = np.concatenate(list(_decode(file, form)))
        except (OSError, ValueError) as error:  # FFmpeg's own are both, by their kind
            raise ValueError(
                f"{self.name} at {rate} Hz and {(bit_rate or 0) / 1000:g}k fails ({error}): choose another bit rate"
            ) from None
        return _resample(decoded, rate, sample_rate)


@dataclass(frozen=True)
class Band:
    """A lower sample rate, and back: what lies above half of it is lost.

    Args:
        sample_rate: In Hz.
    """

    sample_rate: int

    def __post_init__(self) -> None:
        if not 2000 <= self.sample_rate <= 192000:
            raise ValueError(f"no sample rate {self.sample_rate} Hz: choose one from 2k to 192k")

    def __call__(self, waveform: Signal, sample_rate: int, _: Generator) -> Signal:
        """(channel, time) -> the same length."""
        if self.sample_rate >= sample_rate:
            return waveform
        narrow = _resample(waveform, sample_rate, self.sample_rate)
        return _resample(narrow, self.sample_rate, sample_rate)[:, : waveform.shape[1]]


def require_encoder(name: str) -> None:
    """Make sure that this FFmpeg writes a codec.

    Raises:
        ValueError: It does not.
    """
    import av  # a tenth of a second to import, and most runs do without

    encoder = CODECS[name].encoder
    try:
        av.Codec(encoder, "w")
    except ValueError:
        there = [other for other in CODECS if other != name and CODECS[other].encoder in av.codecs_available]
        raise ValueError(
            f"{name}: the FFmpeg of PyAV {av.__version__} here has no encoder {encoder}: install PyAV's own wheel (pip"
            f" install --force-reinstall av), or choose among {', '.join(there)}"
        ) from None


@lru_cache(maxsize=256)
def _delay(name: str, sample_rate: int) -> int:
    """Samples by which a chirp comes late at the clip's rate, silence before it and resampling included.

    Bit rates do not change it: it is measured at the highest, where the wave is kept best.
    """
    codec = Codec(name, CODECS[name].widest or max(CODECS[name].bit_rates, default=None))
    time = np.arange(round(_CHIRP_S * sample_rate)) / sample_rate
    low, high = _CHIRP_HZ
    sound = (0.3 * chirp(time, low, _CHIRP_S, high) * np.hanning(len(time))).astype(np.float32)
    heard = codec._heard(sound, sample_rate)
    return int(np.argmax(correlate(heard, sound, "valid", method="fft")))


def _resample(signal: Signal, source_rate: int, target_rate: int) -> Signal:
    return resample(torch.from_numpy(signal), source_rate, target_rate, "soxr_hq").numpy()


def _encode(file: io.BytesIO, source: Signal, form: Format, rate: int, bit_rate: int | None) -> None:
    import av

    with av.open(file, "w", format=form.container) as out:
        stream: Any = out.add_stream(
            form.encoder, rate=rate, layout=form.channels, options=dict(form.options)
        )
        context = stream.codec_context
        context.thread_count = 1  # loader workers are the threads
        if bit_rate is not None:
            context.bit_rate = bit_rate
        names = [found.name for found in context.codec.audio_formats]
        context.format = kind = next(name for name in ("flt", "fltp", "s16") if name in names)
        context.open()
        step, time_base = context.frame_size or 4096, Fraction(1, rate)
        samples: Any = source
        if kind == "s16":
            samples = np.clip(np.rint(source * 32768), -32768, 32767).astype(np.int16)
        for begin in range(0, len(samples), step):
            block = np.repeat(samples[None, begin : begin + step], context.layout.nb_channels, axis=0)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format=kind, layout=form.channels)
            frame.sample_rate, frame.pts, frame.time_base = rate, begin, time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def _decode(file: io.BytesIO, form: Format) -> Iterator[Signal]:
    """Samples of the first channel, frame by frame."""
    import av

    with av.open(file, "r", format=form.container) as coded:
        stream = coded.streams.audio[0]
        stream.codec_context.thread_count = 1
        for frame in coded.decode(stream):
            samples = frame.to_ndarray()
            if not frame.format.is_planar:
                samples = samples.reshape(-1, frame.layout.nb_channels).T
            first = samples[0]
            yield first.astype(np.float32) / 32768 if first.dtype == np.int16 else first.astype(np.float32)
