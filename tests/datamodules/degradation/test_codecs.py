"""Codecs keep the time and the length of a clip, whatever they lose of its sound."""

import av
import numpy as np
import pytest
from av.codec.codec import UnknownCodecError
from chirps import chirp, delay

from datamodules.degradation.codecs import CODECS, Band, Codec

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("name", CODECS)
def test_a_chirp_comes_at_its_time(name, rate) -> None:
    sound = chirp(rate)
    heard = Codec(name)(sound, rate, RANDOM)
    assert heard.shape == sound.shape
    assert heard.dtype == np.float32
    assert abs(delay(heard, sound)) <= 1
    assert 1e-4 < np.abs(heard - sound).max() < 0.5  # something is lost, but not the sound
    assert np.corrcoef(heard[0], sound[0])[0, 1] > 0.9


@pytest.mark.parametrize(("name", "rates"), [(name, form.bit_rates) for name, form in CODECS.items()])
def test_every_bit_rate_runs_and_keeps_the_time_of_a_burst(name, rates) -> None:
    rng, sound = np.random.default_rng(1), np.zeros((1, 16000), np.float32)
    sound[0, 6000:8000] = 0.3 * rng.standard_normal(2000)
    for rate in rates:
        heard = Codec(name, rate)(sound, 16000, RANDOM)[0]
        loud = np.flatnonzero(
            np.convolve(heard**2, np.ones(400), "same") > 0.25 * np.sum(heard**2) * 400 / 2000
        )
        assert abs(loud[0] - 6000) < 480, rate  # a frame at most
        assert abs(loud[-1] - 8000) < 480, rate


def test_telephones_lose_what_is_above_their_band() -> None:
    time = np.arange(16000) / 16000
    for step, lost_hz in ((Codec("amrnb"), 5000), (Codec("mulaw"), 5000), (Band(4000), 3000)):
        tone = np.sin(2 * np.pi * lost_hz * time, dtype=np.float32)[None] * np.float32(0.3)
        assert np.abs(step(tone, 16000, RANDOM)[0, 1000:-1000]).max() < 0.01


def test_a_lower_bit_rate_keeps_less() -> None:
    sound = (0.1 * np.random.default_rng(0).standard_normal((1, 16000))).astype(np.float32)
    errors = [
        np.square(Codec("mp3", rate)(sound, 16000, RANDOM) - sound).mean() for rate in (8000, 32000, 160000)
    ]
    assert errors[0] > errors[1] > errors[2]


def test_channels_are_coded_each_by_itself_and_the_same_bits_every_time() -> None:
    left, right = chirp(16000, 0.4), -0.5 * chirp(16000, 0.4)[:, ::-1]
    for name in ("mp3", "opus", "g723"):
        both = Codec(name)(np.concatenate([left, right]), 16000, RANDOM)
        alone = [Codec(name)(np.ascontiguousarray(each), 16000, RANDOM) for each in (left, right)]
        assert np.array_equal(both, np.concatenate(alone))


def test_what_is_very_short_or_too_loud_passes() -> None:
    assert Codec("aac")(np.full((1, 3), 0.1, np.float32), 16000, RANDOM).shape == (1, 3)
    loud = 3 * chirp(16000, 0.3)
    assert np.abs(Codec("g722")(loud, 16000, RANDOM)).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mp5",), "no codec 'mp5': choose one of mp3, aac, opus"),
        (("opus", 3000), "opus does not run at 3k: choose 6k to 256k bits a second"),
        (("amrnb", 7000), "amrnb does not run at 7k: choose 4.75k, 5.15k, .*, 12.2k bits a second"),
        (("mulaw", 64000), "mulaw does not run at 64k: leave the rate out, it has but one"),
    ],
)
def test_what_no_codec_does_is_one_line(arguments, message) -> None:
    with pytest.raises(ValueError, match=f"^{message}.*$"):
        Codec(*arguments)


def test_a_missing_encoder_is_named_with_those_that_are_there(monkeypatch) -> None:
    def lacking(name: str, mode: str) -> None:
        raise UnknownCodecError(name)

    monkeypatch.setattr(av, "Codec", lacking)
    monkeypatch.setattr(av, "codecs_available", {"aac", "g722"})
    with pytest.raises(
        ValueError, match=r"^amrnb: .* no encoder libopencore_amrnb: .*choose among aac, g722$"
    ):
        Codec("amrnb")
