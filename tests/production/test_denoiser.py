"""The denoiser: training, whole recordings without seams, levels, report."""

import math

import pytest
import torch
from lightning.pytorch import Trainer

from datamodules.production.pairs.noisy_mixtures import NoisyMixtures
from datamodules.production.pairs.pairs import Pair, PairBatch
from lightning_modules.networks import LSTMDenoiser, WaveNetDenoiser
from lightning_modules.production.denoiser import Denoiser
from lightning_modules.production.denoiser_report import COLUMNS, denoiser_report, figures_of_pairs
from lightning_modules.production.overlap import in_blocks, overlap_add


def small_wavenet():
    return WaveNetDenoiser(channels=4, stacks=2, layers=3, head_channels=(6, 5), condition_dim=0)


@pytest.mark.parametrize("time", [1, 999, 1000, 2345])
def test_pieces_of_an_identity_give_the_signal(time):
    waveform = torch.randn(2, 1, time)
    assert torch.equal(
        in_blocks(lambda x, _: x[..., 5:-3], waveform, past=5, look_ahead=3, block=500), waveform
    )
    torch.testing.assert_close(overlap_add(lambda x, _: x, waveform, window=200), waveform)


def test_silence_beside_a_recording_changes_nothing_of_it():
    """The LSTM's windows lie elsewhere, yet cross-fade to the same sum where they start a hop later."""
    torch.manual_seed(0)
    model = Denoiser(LSTMDenoiser(frame_length=16, hidden_dim=8), window=256)
    waveform = torch.randn(1, 1, 1501)
    later = model.render(torch.nn.functional.pad(waveform, (128, 300)))[..., 128:1629]
    assert (later - model.render(waveform))[..., 256:-256].abs().max() < 1e-5


@pytest.mark.parametrize("level", [None, 0.06])
def test_wavenet_recordings_have_no_seams(level):
    waveform = torch.randn(2, 1, 3001, dtype=torch.float64)
    network = small_wavenet().double()
    whole = Denoiser(network, level=level)(waveform)
    for window in (64, 1000):
        rendered = Denoiser(network, window=window, level=level).render(waveform)
        torch.testing.assert_close(rendered.double(), whole, atol=1e-6, rtol=1e-5)
    model = Denoiser(network, window=64)
    shifted = model.render(torch.nn.functional.pad(waveform, (37, 0)))[..., 37:]
    torch.testing.assert_close(shifted[..., 20:], model.render(waveform)[..., 20:], atol=1e-6, rtol=1e-5)


def test_lstm_recordings_keep_their_length():
    model = Denoiser(LSTMDenoiser(hidden_dim=8), window=256)
    assert model.render(torch.randn(2, 1, 1001)).shape == (2, 1, 1001)


def test_level_makes_loudness_immaterial():
    model = Denoiser(small_wavenet(), level=0.06)
    waveform = 0.1 * torch.randn(1, 1, 500)
    torch.testing.assert_close(model(4 * waveform), 4 * model(waveform))
    assert model(torch.zeros(1, 1, 500)).isfinite().all()


@pytest.mark.parametrize("objective", [None, torch.nn.SmoothL1Loss(beta=1e-6)], ids=["loss", "objective"])
@pytest.mark.parametrize("pad_training", [True, False])
def test_loss_compares_samples_of_the_same_time(pad_training, objective):
    model = Denoiser(small_wavenet(), pad_training=pad_training, objective=objective)
    model.log = lambda *args, **kwargs: None
    waveform = torch.randn(2, 1, 200)
    whole = model(waveform).detach()
    batch = PairBatch(waveform, whole, torch.zeros(2, 0), torch.arange(2), ["a", "b"], {"snr": ["0 dB"] * 2})
    assert model.training_step(batch, 0).item() == pytest.approx(0, abs=1e-6)
    moved = batch._replace(target=whole.roll(1, dims=-1))
    assert model.training_step(moved, 0).item() > 1e-3


def test_training_gains_and_reports(tmp_path):
    data = NoisyMixtures(
        window=256, epoch_items=1600, batch_size=16, eval_items=70, eval_batch_size=35, num_workers=0
    )
    model = Denoiser(
        LSTMDenoiser(frame_length=16, hidden_dim=16),
        window=256,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=5e-3),
    )
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        use_distributed_sampler=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(model, data)
    trainer.test(model, data, verbose=False)
    report = model.report(data, "test")
    assert report.metrics["snr_in"] == pytest.approx(5, abs=0.1)
    assert report.metrics["snr_gain"] > -3  # silence has -5
    assert [row["snr"] for row in report.table] == [
        "0 dB",
        "2.5 dB",
        "5 dB",
        "7.5 dB",
        "10 dB",
        "clean",
        "noise",
    ]
    data.write_scores(tmp_path / "scores.txt", report.keys, report.scores)
    assert (tmp_path / "scores.csv").read_text().startswith("key,snr_in,snr_out")
    checkpoint: dict = {}
    model.on_save_checkpoint(checkpoint)
    assert checkpoint == {"sample_rate": 16000}
    model.sample_rate = 44100
    with pytest.raises(ValueError, match="works at 44100 Hz"):
        trainer.test(model, data, verbose=False)


def test_report_by_hand():
    clean = torch.tensor([[1.0, -1.0]] * 3)[:, None].repeat(1, 1, 600)
    noise = torch.tensor([[1.0, 1.0]] * 3)[:, None].repeat(1, 1, 600)
    clean[2] = 0
    noise[1] = 0
    noisy = clean + noise
    estimate = clean + noise / 10
    figures = figures_of_pairs(noisy, estimate, clean, blind=noisy, oracle=clean)
    names = ("0 dB", "clean", "noise")
    pairs = [Pair(key=name, attributes={"snr": name}) for name in names]
    report = denoiser_report(pairs, figures.double())
    assert report.metrics["snr_in"] == pytest.approx(0, abs=1e-4)
    assert report.metrics["snr_gain"] == pytest.approx(20, abs=1e-4)
    assert report.metrics["snr_gain_p10"] == pytest.approx(20, abs=1e-4)
    assert report.metrics["improved"] == 1
    assert report.metrics["subtraction_gain"] == pytest.approx(0, abs=1e-4)
    assert report.metrics["oracle_subtraction_gain"] == pytest.approx(100, abs=1e-3)  # ends at -100 dB
    assert report.metrics["noise_level_change"] == pytest.approx(-20, abs=1e-4)
    assert report.metrics["clean_si_sdr"] > 60
    rows = {row["snr"]: row for row in report.table}
    assert math.isnan(float(rows["noise"]["si_sdr"]))
    assert math.isnan(float(rows["clean"]["snr_gain"]))
    assert rows["0 dB"]["si_sdr"] == pytest.approx(20, abs=0.1)
    assert set(COLUMNS) < set(rows["0 dB"])


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="window 7"):
        Denoiser(LSTMDenoiser(), window=7)
    with pytest.raises(ValueError, match="mae or mse"):
        Denoiser(LSTMDenoiser(), loss="l3")  # pyright: ignore[reportArgumentType]
