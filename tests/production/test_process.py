"""The command that renders recordings: any file, knobs, refusals, the aligner."""

import re
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from datamodules import audio
from lightning_modules import process
from lightning_modules.commands.trained import trained_model
from lightning_modules.networks import LSTMDenoiser
from lightning_modules.production import Denoiser, Synthesizer

RANGES = {"threshold": [-30.0, 0.0], "ratio": [1.0, 5.0]}


@pytest.fixture(scope="module")
def last(untrained):
    """An effect that is the identity, until it is trained."""
    return str(untrained / "checkpoints/last.ckpt")


@pytest.fixture(scope="module")
def aligner(run):
    folder = run(
        "production_align",
        data__num_windows=2,
        data__num_bars=1,
        data__epoch_items=32,
        model__network__num_channels=4,
        trainer__max_epochs=0,
    )
    return str(folder / "checkpoints/last.ckpt")


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    """Runs the command in an empty folder and returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def run_command(*arguments):
        monkeypatch.setattr("sys.argv", ["process", *map(str, arguments)])
        process.process()
        return capsys.readouterr().out

    return run_command


def recording(path, frames, *, rate=8000, channels=1):
    """Tones below 1 kHz, another one in each channel."""
    time = np.arange(frames)[:, None] / rate
    samples = 0.4 * np.sin(2 * np.pi * (200 + 300 * np.arange(channels)) * time + 1)
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return samples


@pytest.mark.parametrize(
    ("frames", "rate", "channels"),
    [(1, 8000, 1), (2, 44100, 1), (4001, 8000, 2), (12345, 44100, 2), (999, 6000, 3)],
)
def test_any_length_rate_and_channels_come_back_in_place(last, call, frames, rate, channels):
    samples = recording("a 'b'.wav", frames, rate=rate, channels=channels)
    said = call("--ckpt_path", last, "a 'b'.wav", "new/c.wav")
    output, written = soundfile.read("new/c.wav", always_2d=True)
    assert (written, output.shape) == (rate, samples.shape)
    inner = slice(300, -300) if rate != 8000 else slice(None)  # resampling rings at the ends
    assert np.abs(output - samples)[inner].max(initial=0) < 1e-3
    assert f"x {channels} channels at {rate} Hz" in said
    assert re.search(r"[\d.]+ x real time; look-ahead 6 samples", said)
    assert ("resampled to the network's 8000 Hz" in said) == (rate != 8000)


def test_a_recording_is_decoded_whatever_its_format_and_written_as_fine_as_it_can(last, call):
    samples = recording("in.wav", 4000)
    soundfile.write("in.flac", samples, 8000)
    call("--ckpt_path", last, "in.flac", "out.flac")
    assert soundfile.info("out.flac").subtype == "PCM_24"
    assert np.abs(soundfile.read("out.flac", always_2d=True)[0] - samples).max() < 1e-4
    call("--ckpt_path", last, "in.flac", "out.ogg")
    assert soundfile.info("out.ogg").format == "OGG"


def test_what_is_too_loud_is_kept_or_told(last, call):
    soundfile.write("in.wav", np.full(4000, 1.5), 8000, subtype="FLOAT")
    assert "clipped" not in call("--ckpt_path", last, "in.wav", "out.wav")
    assert soundfile.read("out.wav")[0].max() == pytest.approx(1.5)
    assert "clipped, for its peak is 1.50 of full scale" in call("--ckpt_path", last, "in.wav", "out.flac")


def test_knobs_reach_the_network(learned, call):
    soundfile.write("in.wav", np.random.default_rng(1).uniform(-0.5, 0.5, 8000), 8000, subtype="FLOAT")
    (best,) = (learned / "checkpoints").glob("best*.ckpt")
    levels = []
    for level in (-18, -10, -2):
        call("--ckpt_path", best, "--knobs", f"level={level}", "in.wav", "out.wav")
        levels.append(soundfile.read("out.wav")[0].std() / soundfile.read("in.wav")[0].std())
    assert levels[0] < 0.6 * levels[1] < 0.36 * levels[2]


def test_settings_lie_between_their_ends_and_what_is_not_named_in_the_middle():
    assert process.read_knobs("threshold=-22.5, ratio = 5", RANGES).tolist() == [[-0.25, 0.5]]  # pyright: ignore[reportOptionalMemberAccess]
    assert process.read_knobs("ratio=1", RANGES).tolist() == [[0, -0.5]]  # pyright: ignore[reportOptionalMemberAccess]
    assert process.read_knobs("", {}) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gain=3", "no knob 'gain'; there are: threshold from -30 to 0, ratio from 1 to 5"),
        ("ratio", "ratio= is not a number from 1 to 5"),
        ("ratio=loud", "ratio=loud is not a number"),
        ("ratio=nan", "ratio=nan is not a number"),
        ("threshold=-20,ratio=5.1", r"ratio=5.1 is not a number from 1 to 5"),
        ("threshold=3", "threshold=3 is not a number from -30 to 0"),
    ],
)
def test_wrong_knobs_are_named_with_those_there_are(text, message):
    with pytest.raises(ValueError, match=message) as error:
        process.read_knobs(text, RANGES)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="there are: none"):
        process.read_knobs(text, {})


def test_faults_are_told_in_one_line_and_nothing_is_written(last, aligner, call, tmp_path):
    recording("in.wav", 100)
    soundfile.write("empty.wav", np.zeros(0), 8000)
    (tmp_path / "text.wav").write_text("no audio")
    (tmp_path / "link.wav").symlink_to("in.wav")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for arguments, message in (
        (("--ckpt_path", last, "in.wav", "in.wav"), r"in.wav: is the input, which is never overwritten"),
        (("--ckpt_path", last, "in.wav", "link.wav"), r"link.wav: is the input"),
        (("--ckpt_path", last, "in.wav", "out.xyz"), r"out.xyz: unknown audio format: end the name in .wav"),
        (("--ckpt_path", last, "in.wav", "out"), "out: unknown audio format"),
        (("--ckpt_path", last, "empty.wav", "out.wav"), r"empty.wav: holds no samples"),
        (("--ckpt_path", last, "text.wav", "out.wav"), r"text.wav"),
        (("--ckpt_path", last, "missing.wav", "out.wav"), r"missing.wav"),
        (("--ckpt_path", "no.ckpt", "in.wav", "out.wav"), r"no.ckpt: no such checkpoint"),
        (("--ckpt_path", "text.wav", "in.wav", "out.wav"), r"text.wav: (refused|damaged)"),
        (("--ckpt_path", last, "--bpm", 100, "in.wav", "out.wav"), "LearnedEffect knows no tempo"),
        (("--ckpt_path", last, "--knobs", "x=1", "in.wav", "out.wav"), "there are: level from -20 to 0"),
        (("--ckpt_path", aligner, "in.wav", "out.wav"), "give --bpm"),
        (("--ckpt_path", aligner, "--bpm", 100, "--knobs", "x=1", "in.wav", "out.wav"), "has no knobs"),
        (("--ckpt_path", aligner, "--bpm", -1, "in.wav", "out.wav"), r"-1.0 bpm"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            call(*arguments)
        assert "\n" not in str(error.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_format_that_takes_no_such_rate_is_told(tmp_path):
    with pytest.raises(ValueError, match="MP3 takes no 1 channels at 1234 Hz"):
        process.write(tmp_path / "a.mp3", torch.zeros(1, 100), 1234, kind="MP3", subtype=None)
    assert not list(tmp_path.iterdir())


def test_minutes_of_vorbis_are_written(tmp_path):
    """In a process of its own, which libsndfile would take along."""
    path = tmp_path / "a.ogg"
    code = (
        "import sys, torch; from pathlib import Path; from lightning_modules import process;"
        "process.write(Path(sys.argv[1]), torch.rand(2, 2_700_000) - 0.5, 44100, kind='OGG', subtype=None)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == 0
    assert soundfile.info(path).frames == 2_700_000


def test_a_model_of_another_kind_is_named(aligner):
    with pytest.raises(
        ValueError, match=r"last.ckpt: holds TimeAligner: name a checkpoint of production_wavegan"
    ):
        trained_model(aligner, Synthesizer, wanted="production_wavegan")


def test_drums_of_two_channels_move_together_at_their_own_rate(aligner, call):
    rate, late = 22050, (0.04, -0.03, 0.05)
    time = np.arange(2 * rate) / rate
    begins = np.array([[0.5], [1.0], [1.5]]) + np.array(late)[:, None]
    since = np.maximum(time - begins, 0)
    hits = (0.5 * np.exp(-since / 0.02) * np.cos(2000 * since) * (time >= begins)).sum(axis=0)
    soundfile.write("drums.wav", np.stack([hits, -0.5 * hits], axis=1), rate, subtype="FLOAT")
    said = call("--ckpt_path", aligner, "--bpm", 120, "--steps_per_beat", 1, "drums.wav", "tight.wav")
    output, written = soundfile.read("tight.wav")
    assert written == rate
    assert np.allclose(output[:, 1], -0.5 * output[:, 0], atol=1e-6)
    assert np.abs(output[:, 0] - hits).max() > 0.1  # the network is untrained: hits moved, somewhere near
    assert (output**2).sum() == pytest.approx(1.25 * (hits**2).sum(), rel=0.05)
    assert "x real time; hears what follows" in said
    assert "resampled" not in said


def test_a_denoiser_renders_recordings_too(call):
    torch.manual_seed(0)
    model = Denoiser(LSTMDenoiser(hidden_dim=4), window=256).eval()
    model.sample_rate = 8000
    waveform = torch.randn(2, 1000)
    output = process.render(model, waveform, 8000)
    assert torch.allclose(output[1], model.render(waveform[None, 1:])[0, 0])


@pytest.mark.parametrize("resampler", ["soxr_hq", "torchaudio"])
def test_recordings_are_resampled_as_the_data_of_the_training_were(resampler):
    torch.manual_seed(0)
    model = Denoiser(LSTMDenoiser(hidden_dim=4), window=256).eval()
    model.sample_rate = 8000
    waveform = torch.randn(1, 4410)
    inner = audio.resample(waveform, 44100, 8000, resampler)
    expected = audio.resample(model.render(inner[None])[0], 8000, 44100, resampler)[:, :4410]
    job = process.job_of(model, Namespace(bpm=None, knobs=""), resampler)
    torch.testing.assert_close(job(waveform, 44100), expected)


def test_what_there_is_of_a_recording_is_taken_by_an_option(last, call):
    samples = recording("in.wav", 4000)
    path = Path("in.wav")
    path.write_bytes(path.read_bytes()[: -4 * 1000])
    with pytest.raises(ValueError, match="truncated: has 3000 samples and lacks 1000"):
        call("--ckpt_path", last, "in.wav", "out.wav")
    call("--ckpt_path", last, "--allow_truncated", "in.wav", "out.wav")
    found, _ = soundfile.read("out.wav", always_2d=True)
    np.testing.assert_allclose(found, samples[:3000], atol=1e-6)
