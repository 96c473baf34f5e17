"""Time alignment: lags, onsets, cuts, the module's render and report."""

import pickle

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from datamodules import DrumHits
from lightning_modules.metrics.functional.onset import detect_onsets, onset_errors_ms
from lightning_modules.production import TimeAligner
from lightning_modules.production.aligner import lag
from lightning_modules.production.quantise import quantise

RATE = 8000


def hits(places, num_samples, *, rate=RATE, frequency=300.0, decay_s=0.05, gains=None):
    """Decaying tones that begin at once at some samples."""
    x = torch.zeros(num_samples, dtype=torch.float64)
    for place, gain in zip(places, gains or [0.8] * len(places), strict=True):
        time = torch.arange(num_samples - place, dtype=torch.float64) / rate
        x[place:] += gain * torch.exp(-time / decay_s) * torch.cos(2 * torch.pi * frequency * time)
    return x.float()


def module(onset=None):
    """A module whose network has the answer `onset`, or none."""
    aligner = TimeAligner(network=_Network(onset))  # pyright: ignore[reportArgumentType]
    return aligner.eval()


class _Network(nn.Module):
    sample_rate, window, max_shift = RATE, 4096, 640

    def __init__(self, onset):
        super().__init__()
        self.answer = onset

    def onset(self, waveform):
        return torch.zeros(len(waveform)) if self.answer is None else self.answer(waveform)


def test_lag_of_a_window_is_how_much_later_it_is():
    target = hits([2048], 4096)[None, None]
    for late in (-480, -1, 0, 313):
        assert lag(hits([2048 + late], 4096)[None, None], target, most=640).tolist() == [late]


def test_onset_errors_are_measured_at_each_line():
    target = hits([800, 2400, 4000], 6000)
    found = onset_errors_ms(hits([808, 2360, 4000], 6000), target, [0.1, 0.3, 0.5], sample_rate=RATE)
    assert torch.allclose(found.float(), torch.tensor([1.0, -5.0, 0.0]), atol=0.13)


@pytest.mark.parametrize("gains", [None, [0.9, 0.2, 0.1, 0.6]])
def test_detector_finds_hits_within_two_milliseconds(gains):
    places = [900, 2300, 4411, 6000]
    found = detect_onsets(hits(places, 8000, gains=gains), sample_rate=RATE)
    assert len(found) == 4
    assert (found - torch.tensor(places)).abs().max() <= 16


def test_silence_and_a_steady_tone_have_no_hit():
    assert len(detect_onsets(torch.zeros(8000), sample_rate=RATE)) == 0
    tone = torch.sin(torch.arange(16000) * 0.3)
    assert all(place < 200 for place in detect_onsets(tone, sample_rate=RATE).tolist())


def test_cuts_without_moves_give_the_recording_back():
    x = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    onsets = torch.tensor([0.1, 0.4, 0.7], dtype=torch.float64)
    assert torch.allclose(quantise(x, onsets, sample_rate=RATE, step_s=0.1), x, atol=1e-6)
    assert torch.equal(quantise(x, onsets[:0], sample_rate=RATE, step_s=0.1), x)


@pytest.mark.parametrize("onsets", [[0.1, 0.102, 0.104], [0.1, 0.11, 0.1101]])
def test_cuts_of_hits_within_a_fade_add_up_too(onsets):
    noise = torch.randn(1, 4000)
    places = torch.tensor(onsets, dtype=torch.float64)
    moved = quantise(noise, places, sample_rate=RATE, step_s=0.0001)
    torch.testing.assert_close(moved, noise, atol=1e-5, rtol=0)


def test_hits_move_to_their_lines_as_they_are():
    x = hits([700, 2500, 4100], 8000, decay_s=0.02)
    onsets = torch.tensor([700, 2500, 4100], dtype=torch.float64) / RATE
    moved = quantise(x[None], onsets, sample_rate=RATE, step_s=0.1)[0]
    expected = hits([800, 2400, 4000], 8000, decay_s=0.02)
    assert (moved - expected).abs().max() < 0.01  # the tails that were cut
    for line in (800, 2400, 4000):
        assert torch.allclose(moved[line : line + 200], expected[line : line + 200], atol=5e-3)


def test_hits_of_one_line_move_together():
    x = hits([780, 860], 4000, decay_s=0.01)
    onsets = torch.tensor([780, 860], dtype=torch.float64) / RATE
    moved = quantise(x[None], onsets, sample_rate=RATE, step_s=0.1)[0]
    assert torch.allclose(moved[20:], x[:-20], atol=1e-3)


def test_cuts_do_not_click():
    x = hits([1000, 2600, 4300, 5500], 8000, frequency=80.0, decay_s=0.2)  # ring on
    onsets = torch.tensor([1000, 2600, 4300, 5500], dtype=torch.float64) / RATE
    moved = quantise(x[None], onsets, sample_rate=RATE, step_s=0.1)[0]
    smooth = torch.ones(8000, dtype=torch.bool)
    for line in (800, 2400, 4000, 5600):  # where hits begin, the recording jumps
        smooth[line - 2 : line + 2] = False
    steepest = x.diff().abs()[x.diff().abs() < 0.2].max()
    assert moved.diff().abs()[smooth[1:]].max() <= 2 * steepest


@pytest.mark.parametrize("rate", [8000, 44100])
def test_render_moves_hits_of_any_rate_to_the_grid(rate):
    lines = np.array([1, 2, 4, 6, 7]) * 0.25  # eighths at 120 bpm
    places = [
        round((line + late) * rate)
        for line, late in zip(lines, [0.05, -0.04, 0.03, -0.05, 0.02], strict=True)
    ]
    x = hits(places, 2 * rate, rate=rate, decay_s=0.03)

    def refine(windows):  # thresholds find them to 2 ms: the first loud sample after the middle less 10 ms
        late = windows[:, 0].abs()[:, 2048 - 80 : 2048 + 80] > 0.1
        return late.int().argmax(dim=1).float() - 80

    moved = module(refine).align(torch.stack([x, 0.5 * x]), rate, bpm=120)
    assert moved.shape == (2, 2 * rate)
    target = hits([round(line * rate) for line in lines], 2 * rate, rate=rate, decay_s=0.03)
    errors = onset_errors_ms(moved[0], target, lines.tolist(), sample_rate=rate)
    assert errors.abs().max() <= 1
    assert 10 * abs(np.log10(moved.square().sum() / x.square().sum() / 1.25)) < 0.1
    assert torch.allclose(moved[1], 0.5 * moved[0])


def test_render_of_silence_is_silence_and_a_wrong_tempo_is_refused():
    silence = torch.zeros(1, 8000)
    assert torch.equal(module().align(silence, 8000, bpm=100), silence)
    with pytest.raises(ValueError, match="-3"):
        module().align(silence, 8000, bpm=-3)


def test_a_run_leaves_figures_of_windows_and_bars(tmp_path, run):
    for number in range(8):
        folder = tmp_path / "drums" / ("kick" if number % 2 else "snare")
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(
            folder / f"kit{number // 2}__a.wav", hits([20], 3000, frequency=100 + 40 * number).numpy(), RATE
        )
    folder = run(
        "production_align",
        data__root=tmp_path / "drums",
        data__num_windows=6,
        data__num_bars=2,
        data__epoch_items=64,
        model__network__num_channels=4,
        trainer__max_epochs=1,
    )
    header, *rows = (folder / "scores" / "test.csv").read_text().splitlines()
    assert header.startswith("key,hits,onset_ms_before,onset_ms,within_5ms,onset_ms_threshold")
    assert [row.split(",")[0] for row in rows] == [*(f"hit{n:04d}" for n in range(6)), "bar0000", "bar0001"]
    assert "bar_onset_ms" in (folder / "results.csv").read_text()


def write_kits(root, num_kits):
    for number in range(num_kits):
        for name in ("kick", "snare"):
            (root / name).mkdir(exist_ok=True)
            soundfile.write(root / name / f"kit{number}__a.wav", hits([20], 3000).numpy(), RATE)


def test_items_go_to_workers_without_the_data_module_and_its_trainer(tmp_path):
    write_kits(tmp_path, 4)
    data = DrumHits(root=str(tmp_path), num_workers=0)
    data.setup()
    data.trainer = lambda: None  # as a running one, nothing that can be pickled  # pyright: ignore
    items, copies = data.dataset("train"), pickle.loads(pickle.dumps(data.dataset("train")))
    assert all(items[0, draw].waveform.equal(copies[0, draw].waveform) for draw in range(4))


def test_workers_take_more_sounds_than_open_files(tmp_path):
    write_kits(tmp_path, 32)
    data = DrumHits(root=str(tmp_path), batch_size=2, num_workers=1)
    data.setup("fit")
    assert 7 * len(data.rows["train"]) > 256
    assert next(iter(data.train_dataloader())).waveform.shape == (2, 1, 4096)


def test_data_of_another_rate_are_refused():
    aligner, data = module(), DrumHits(root="x", sample_rate=16000)
    aligner.trainer = type("T", (), {"datamodule": data})()  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValueError, match="16000 Hz"):
        aligner.setup("fit")
