"""What can be scored, in which forms, and what is refused in one line."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from lightning_modules import load_model
from lightning_modules.trained.load import load_model as same

OLDER = Path(__file__).parents[1] / "fixtures" / "before_the_house"
RATE = 16000


@pytest.fixture(scope="module")
def model():
    """A detector of speech, of the first 0.3 s."""
    return load_model(OLDER / "ssd/last.ckpt", device="cpu")


@pytest.fixture
def noise():
    """Stereo, (channel, time)."""
    return np.random.default_rng(0).uniform(-0.1, 0.1, (2, 20011)).astype(np.float32)


def test_the_door_is_the_function():
    assert load_model is same


@pytest.mark.parametrize("rate", [RATE, 22050, 44099])
@pytest.mark.parametrize("source", ["checkpoint", "package"])
def test_a_waveform_scores_as_its_file(source, rate, noise, tmp_path):
    model = load_model(
        OLDER / "ssd" / {"checkpoint": "last.ckpt", "package": "package"}[source], device="cpu"
    )
    soundfile.write(tmp_path / "noise.wav", noise.T, rate, subtype="FLOAT")
    expected = model.score(tmp_path / "noise.wav")
    assert type(expected) is float
    assert model.score(str(tmp_path / "noise.wav")) == expected
    for form in (noise, torch.from_numpy(noise), noise.astype(np.float64), noise.tolist(), noise[::-1][::-1]):
        assert model.score(form, sample_rate=rate) == expected
    mono = noise.mean(axis=0)
    assert model.score(mono, sample_rate=rate) == model.score(mono[None], sample_rate=rate) == expected
    assert (model.score(mono) == expected) == (rate == model.sample_rate)


def test_several_files_are_scored_in_their_order(model, noise, tmp_path):
    paths = [tmp_path / f"{number}.flac" for number in range(5)]
    for number, path in enumerate(paths):
        soundfile.write(path, noise[0, number * 3000 :], RATE)
    scores = model.score_files(paths)
    assert scores == pytest.approx([model.score(path) for path in paths], abs=1e-6)
    assert model.score_files(reversed(paths)) == pytest.approx(scores[::-1], abs=1e-6)
    assert model.score_files([]) == []


def test_silence_is_scored(model):
    assert np.isfinite(model.score(np.zeros(RATE)))


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros(0), "waveform: holds no samples"),
        (np.array([0.0, np.nan]), "waveform: holds NaN or infinite samples"),
        (
            np.zeros(9, np.int16),
            "waveform of torch.int16: expected floats in .*; divide 16-bit samples by 32768",
        ),
        (
            np.zeros((9, 2)),
            r"waveform of shape \(9, 2\): .* soundfile gives \(time, channel\), to be transposed",
        ),
        (np.zeros((1, 1, 9)), r"waveform of shape \(1, 1, 9\)"),
        (None, "NoneType: expected the path of an audio file, or a waveform"),
    ],
)
def test_wrong_waveforms_are_refused(waveform, message, model):
    with pytest.raises(ValueError, match=message) as error:
        model.score(waveform)
    assert "\n" not in str(error.value)


def test_wrong_rates_and_files_are_refused(model, tmp_path):
    for rate in (0, -1, 16000.5):
        with pytest.raises(ValueError, match=f"sample_rate {rate}: expected whole samples a second"):
            model.score(np.zeros(RATE), sample_rate=rate)
    with pytest.raises(ValueError, match="a file names its own sample rate"):
        model.score(tmp_path / "a.wav", sample_rate=8000)
    with pytest.raises(ValueError, match=r"a\.wav: no such file"):
        model.score(tmp_path / "a.wav")
    soundfile.write(tmp_path / "a.wav", np.zeros(0), RATE)
    with pytest.raises(ValueError, match=r"a\.wav: holds no samples"):
        model.score(tmp_path / "a.wav")
    soundfile.write(tmp_path / "a.wav", np.full(9, np.nan), RATE, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"a\.wav: holds NaN"):
        model.score_files([tmp_path / "a.wav"])


def test_clips_that_are_too_short_are_refused(tmp_path):
    detector = load_model(OLDER / "asd/last.ckpt", device="cpu")
    with pytest.raises(ValueError, match="fewer than a window of") as error:
        detector.score(np.zeros(100), instance="fan/id_00")
    assert "\n" not in str(error.value)


def test_sources_that_are_none_are_refused(tmp_path):
    text, weights, safe = (tmp_path / name for name in ("notes.txt", "weights.pt", "weights.safetensors"))
    text.write_text("hello")
    torch.save(torch.nn.Linear(3, 2).state_dict(), weights)
    safe.write_text("hello")
    for source, message in {
        tmp_path / "none.ckpt": "no such file: ",
        tmp_path: "a folder without package.json: ",
        text: r"not a checkpoint of plain tensors \(\w+\): ",
        safe: r"not a checkpoint of plain tensors \(SafetensorError\): ",
        weights: "weights of an unknown network: ",
    }.items():
        with pytest.raises(
            ValueError, match=f"{source}: {message}load_model takes a checkpoint of "
        ) as error:
            load_model(source)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="device gpu9: "):
        load_model(OLDER / "ssd/last.ckpt", device="gpu9")
    with pytest.raises(ValueError, match="a package is scored as it says itself"):
        load_model(OLDER / "ssd/package", config="x.yaml")
    with pytest.raises(ValueError, match=r"x\.yaml: no such file"):
        load_model(OLDER / "ssd/last.ckpt", config="x.yaml")


@pytest.mark.parametrize("source", ["last.ckpt", "package"])
def test_what_there_is_of_a_cut_file_is_scored_where_that_is_allowed(source, noise, tmp_path):
    path = tmp_path / "cut.wav"
    soundfile.write(path, noise.T, RATE, subtype="FLOAT")
    path.write_bytes(path.read_bytes()[: -8 * 17011])
    place = OLDER / "ssd" / source
    with pytest.raises(ValueError, match="truncated: has 3000 samples and lacks 17011"):
        load_model(place, device="cpu").score(path)
    model = load_model(place, device="cpu", allow_truncated=True)
    assert model.score(path) == model.score(noise[:, :3000])
