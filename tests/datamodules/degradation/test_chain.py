"""Conditions as text: understood, refused in one line, and drawn by the seeds alone."""

import numpy as np
import pytest
import soundfile
import torch

from datamodules.degradation import Chain
from datamodules.degradation.codecs import Band, Codec
from datamodules.degradation.noise import Noise
from datamodules.degradation.room import RecordedRoom, SimulatedRoom

RATE = 16000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as MUSAN's, and one as that of RIRS_NOISES."""
    root = tmp_path_factory.mktemp("sounds")
    names = (
        "musan/music/a.wav",
        "musan/noise/b.wav",
        "rirs/simulated_rirs/r.wav",
        "rirs/real/air_noise_1.wav",
    )
    for name in names:
        (root / name).parent.mkdir(parents=True)
        soundfile.write(root / name, np.random.default_rng(0).uniform(-0.5, 0.5, 800), RATE)
    return root


def sound() -> torch.Tensor:
    """Float32 (1, time)."""
    return 0.1 * torch.randn(1, RATE // 2, generator=torch.Generator().manual_seed(0))


def test_steps_come_in_the_order_of_nature() -> None:
    chain = Chain.of_condition("opus@16k+resample@8k+snr-5..10_white+rt60_0.5")
    assert [link.choices for link in chain.links] == [
        [SimulatedRoom((0.5, 0.5))],
        [Noise((-5.0, 10.0), "white")],
        [Codec("opus", 16000)],
        [Band(8000)],
    ]
    assert [link.place for link in chain.links] == [(0, 0), (1, 0), (2, 0), (2, 1)]
    assert Chain({"mp3|amrnb@4.75k": 0.3}).links[0].choices == [Codec("mp3"), Codec("amrnb", 4750)]


def test_folders_are_those_of_noise_and_rooms(folder) -> None:
    musan, rirs = folder / "musan", folder / "rirs"
    chain = Chain.of_condition("snr10+snr5_music+room+room_simulated_rirs", noise=musan, rooms=rirs)
    every, music = (musan / "music/a.wav", musan / "noise/b.wav"), (musan / "music/a.wav",)
    response = (rirs / "simulated_rirs/r.wav",)
    assert [link.choices[0] for link in chain.links] == [
        RecordedRoom(response),
        RecordedRoom(response),  # noise among the responses is passed over
        Noise((10.0, 10.0), every),
        Noise((5.0, 5.0), music),
    ]
    assert Chain.of_condition("snr10_pink", noise=musan).links[0].choices == [Noise((10.0, 10.0), "pink")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("opuss", "no step 'opuss': write rt60_SECONDS, room, snrDECIBEL, resample@RATE, or one of mp3, aac"),
        ("opus@16kb", "no step 'opus@16kb': write"),
        ("opus+", "no step '': write"),
        ("opus snr10", "no step 'opus snr10': write"),
        ("opus@3k", "opus does not run at 3k: choose"),
        ("resample", "resample: write the sample rate behind it, as resample@8k"),
        ("resample@300", "no sample rate 300 Hz"),
        ("snr20..0", "snr20..0: write the lower number first"),
        ("rt60_5", "no room of 5 s"),
        ("rt60_0.5_big", "no step 'rt60_0.5_big'"),
        ("room", "room: no folder of impulse responses: set rooms"),
        ("snr10_music", "no noise 'music': write pink or white, or set noise to a folder that holds music"),
        ("snr10+snr10", "a step is there twice"),
        ("snr10|opus", "snr10|opus: rooms, noise and codecs are steps of their own"),
    ],
)
def test_wrong_words_are_one_line_with_the_choices(text, message) -> None:
    with pytest.raises(ValueError, match=r"^condition ") as error:
        Chain.of_condition(text)
    assert str(error.value).startswith(f"condition {text!r}: {message}")
    assert "\n" not in str(error.value)


def test_wrong_folders_and_probabilities_are_one_line(folder, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"missing: no such folder: set noise to"):
        Chain({"snr10": 1.0}, noise=tmp_path / "missing")
    with pytest.raises(ValueError, match=r"no file of audio in it: set rooms to"):
        Chain({"room": 1.0}, rooms=tmp_path)
    with pytest.raises(ValueError, match=r"files of noise alone: set rooms to"):
        Chain({"room_real": 1.0}, rooms=folder / "rirs")
    with pytest.raises(ValueError, match=r"^opus: 1\.5: choose a probability from 0 to 1$"):
        Chain({"opus": 1.5})


def test_steps_are_done_as_often_as_asked() -> None:
    chain, clean = Chain({"resample@2k": 0.3}), sound()[:, :400]
    changed = sum(not torch.equal(chain(clean, RATE, [seed]), clean) for seed in range(1000))
    assert abs(changed - 300) < 3 * np.sqrt(1000 * 0.3 * 0.7)  # three standard deviations
    assert torch.equal(Chain({"opus": 0.0})(clean, RATE, [0]), clean)


def test_choices_are_drawn_evenly() -> None:
    chain, clean = Chain({"resample@2k|resample@4k|resample@8k": 1.0}), sound()[:, :400]
    outcomes = [chain(clean, RATE, [seed]).numpy().tobytes() for seed in range(900)]
    counts = [outcomes.count(each) for each in set(outcomes)]
    assert len(counts) == 3
    assert max(abs(count - 300) for count in counts) < 3 * np.sqrt(900 * 2 / 9)


def test_the_seeds_alone_decide() -> None:
    chain, clean = Chain({"snr0..20": 0.9, "mp3|opus|mulaw": 0.9}), sound()
    found = [chain(clean, RATE, [seed]) for seed in (2**64 - 1, 2**64 - 1, 0, 1, 2)]
    assert torch.equal(found[0], found[1])
    assert len({each.numpy().tobytes() for each in found}) == 4


def test_a_step_is_drawn_alike_whatever_else_is_done() -> None:
    clean = sound()
    noisy = [Chain.of_condition(f"snr{snr}")(clean, RATE, [5]) - clean for snr in (10, 20)]
    torch.testing.assert_close(noisy[0], noisy[1] * 10**0.5, atol=1e-6, rtol=1e-4)
    coded = Chain.of_condition("mulaw+snr10")(clean, RATE, [5])
    alone = Chain.of_condition("mulaw")(Chain.of_condition("snr10")(clean, RATE, [5]), RATE, [5])
    assert torch.equal(coded, alone)
