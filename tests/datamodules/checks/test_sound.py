"""What is odd about a sound is told by its kind, and nothing of one that is whole."""

import os

import av
import numpy as np
import pytest
import soundfile

from datamodules import audio
from datamodules.audio import reading
from datamodules.checks.sound import Sound, listen

RATE = 8000
TIME = np.arange(RATE) / RATE
TONE = 0.3 * np.sin(2 * np.pi * 440 * TIME)
NOISE = 0.1 * np.random.default_rng(0).normal(size=RATE)


@pytest.fixture
def heard(tmp_path):
    def hear(samples, **settings):
        soundfile.write(tmp_path / "a.wav", samples, RATE, **settings)
        return listen(str(tmp_path / "a.wav"))

    return hear


@pytest.mark.parametrize(
    ("samples", "oddities"),
    [
        (TONE, {}),
        (np.stack([NOISE, np.roll(NOISE, 7)], axis=1), {}),  # unrelated channels
        (TONE * np.exp(-8 * TIME), {}),
        (np.zeros(RATE), {"silent": "is silent or constant"}),
        (np.full(RATE, 0.25), {"silent": "is silent or constant"}),
        (TONE[:80], {"short": "lasts 10 ms"}),
        (TONE / 1000, {"nearly silent": "is nearly silent, at -73 dB of full scale"}),
        (TONE + 0.2, {"direct current": "has a constant offset of 0.200: take it off with a high-pass"}),
        (
            np.stack([TONE, -TONE], axis=1),
            {
                "anti-phase": "has channels that cancel each other: their average, which `mono` takes, is silent"
            },
        ),
    ],
)
def test_kinds(heard, samples, oddities):
    assert heard(samples, subtype="FLOAT").oddities == oddities


def test_clipping_is_told_by_its_share(heard):
    share = np.mean(np.abs(np.sin(2 * np.pi * 440 * TIME)) >= 1 / 2)
    (words,) = heard(np.clip(2 * np.sin(2 * np.pi * 440 * TIME), -1, 1)).oddities.values()
    assert words == f"is clipped: {share:.2%} of its samples lie at full scale"
    assert heard(0.9999 * np.sin(2 * np.pi * 440 * TIME)).oddities == {}


def test_what_is_measured(heard):
    samples = (32767 * np.stack([NOISE, np.roll(NOISE, 7)], axis=1)).astype(np.int16)
    found = heard(samples)
    assert isinstance(found, Sound)
    assert (found.seconds, found.rate, found.channels, found.constant) == (1, RATE, 2, False)
    assert found.digest == heard(samples, format="FLAC").digest != heard(samples[::-1]).digest


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    assert listen(str(tmp_path / "pipe.wav")) == (
        f"{tmp_path}/pipe.wav: no regular file, but a pipe or a device; remove it from the list or the folder"
    )


def test_equal_sounds_are_equal_in_any_format(tmp_path, monkeypatch):
    """Decoders give blocks of other sizes, and channels lie one behind the other in each."""
    monkeypatch.setattr(reading, "_BLOCK_PARTS", 1)
    samples = np.random.default_rng(1).integers(-9000, 9000, (2, 4 * RATE)).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples.T, RATE)
    with av.open(str(tmp_path / "a.tta"), "w") as container:
        stream = container.add_stream("tta", rate=RATE, layout="stereo", format="s16")
        frame = av.AudioFrame.from_ndarray(samples.T.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate = RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])
    assert len(list(audio.blocks(tmp_path / "a.tta"))) > 1
    wav, tta = (listen(str(tmp_path / name)) for name in ("a.wav", "a.tta"))
    assert isinstance(wav, Sound)
    assert isinstance(tta, Sound)
    assert wav.digest == tta.digest
    soundfile.write(tmp_path / "swapped.wav", samples[::-1].T, RATE)
    swapped = listen(str(tmp_path / "swapped.wav"))
    assert isinstance(swapped, Sound)
    assert swapped.digest != wav.digest
