"""Mixtures at the ratios asked for, the same ones always; pairs of files."""

import numpy as np
import pytest
import soundfile
import torch

from datamodules.production.pairs.mixtures import mix
from datamodules.production.pairs.noisy_mixtures import NoisyMixtures, share_of_files
from datamodules.production.pairs.noisy_pairs import NoisyPairs
from datamodules.production.pairs.simple_signals import SIGNALS, simple_signal

RATE = 16000


def measured_snr(batch):
    power = batch.target.square().mean(dim=(1, 2)) / (batch.waveform - batch.target).square().mean(dim=(1, 2))
    return 10 * power.log10()


def batches(loader):
    return list(loader)


@pytest.mark.parametrize("name", SIGNALS)
def test_simple_signals_are_bounded_and_drawn(name):
    drawn = [
        simple_signal(name, np.random.default_rng(seed), length=2048, sample_rate=RATE) for seed in range(20)
    ]
    assert all(0.05 < np.abs(signal).max() <= 0.9 for signal in drawn)
    assert not np.array_equal(drawn[0], drawn[1])
    again = simple_signal(name, np.random.default_rng(0), length=2048, sample_rate=RATE)
    np.testing.assert_array_equal(again, drawn[0])


def test_evaluation_has_every_ratio_and_never_changes():
    data = NoisyMixtures(eval_items=14, eval_batch_size=14, num_workers=0)
    (first,), (second,) = batches(data.test_dataloader()), batches(data.test_dataloader())
    assert torch.equal(first.waveform, second.waveform)
    labels = ["0 dB", "2.5 dB", "5 dB", "7.5 dB", "10 dB", "clean", "noise"] * 2
    assert first.attributes["snr"] == labels
    for row, label in enumerate(labels):
        if label.endswith("dB"):
            assert measured_snr(first)[row].item() == pytest.approx(float(label.split()[0]), abs=1e-3)
    assert torch.equal(first.waveform[5], first.target[5])
    assert first.waveform[6].any()
    assert not first.target[6].any()
    (validation,) = batches(data.val_dataloader())
    assert not torch.equal(validation.waveform, first.waveform)


def test_training_draws_shares_and_ratios():
    data = NoisyMixtures(
        epoch_items=400,
        batch_size=400,
        window=256,
        snr_db=(3.0, 6.0),
        clean_share=0.2,
        noise_share=0.3,
        num_workers=0,
    )
    (batch,) = batches(data.train_dataloader())
    clean = (batch.waveform == batch.target).all(dim=2).squeeze(1)
    only_noise = ~batch.target.any(dim=2).squeeze(1)
    assert clean.sum().item() == pytest.approx(80, abs=30)
    assert only_noise.sum().item() == pytest.approx(120, abs=35)
    ratios = measured_snr(batch)[~clean & ~only_noise]
    loud = batch.target.square().mean(dim=(1, 2))[~clean & ~only_noise] > 1e-6
    assert ratios[loud].min() > 3 - 1e-3
    assert ratios[loud].max() < 6 + 1e-3


def test_training_epochs_differ_and_seeds_repeat():
    def epochs():
        loader = NoisyMixtures(epoch_items=8, batch_size=8, window=64, num_workers=0).train_dataloader()
        return [next(iter(loader)).waveform, next(iter(loader)).waveform]

    first, second = epochs(), epochs()
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], first[1])


def test_noise_goes_on_through_silence():
    silence, noise = torch.zeros(1, 1000), torch.randn(1, 1000)
    noisy, target = mix(silence, noise, "mixture", 0.0, np.random.default_rng(0))
    assert noisy.square().mean().item() == pytest.approx(1e-6, rel=1e-4)
    assert not target.any()


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(0)
    for index in range(10):
        for kind, seconds, rate in (("clean", 0.2, 8000), ("noise", 0.05, RATE)):
            (tmp_path / kind).mkdir(exist_ok=True)
            samples = 0.1 * rng.standard_normal(round(seconds * rate))
            soundfile.write(tmp_path / kind / f"{index}.wav", samples, rate)
    return tmp_path


def test_files_of_other_rates_and_short_noise(folders):
    data = NoisyMixtures(
        clean=str(folders / "clean"), noise=str(folders / "noise"), window=4000, eval_items=7, num_workers=0
    )
    (batch,) = batches(data.test_dataloader())
    assert batch.waveform.shape == (7, 1, 4000)
    assert not batch.target[..., 3200:].any()  # 0.2 s at 16 kHz, then silence
    noise = (batch.waveform - batch.target)[0, 0]
    torch.testing.assert_close(noise[:800], noise[800:1600], atol=1e-6, rtol=0)
    assert measured_snr(batch)[:5].tolist() == pytest.approx([0, 2.5, 5, 7.5, 10], abs=1e-2)


def test_splits_share_no_file(folders):
    data = NoisyMixtures(clean=str(folders / "clean"))
    paths = [
        {clip.path for clip in share_of_files(data.root, name)} for name in ("train", "validation", "test")
    ]
    assert [len(part) for part in paths] == [8, 1, 1]
    assert len(set.union(*paths)) == 10
    for path in sorted((folders / "clean").iterdir())[2:]:
        path.unlink()
    with pytest.raises(ValueError, match="2 audio files: give at least 3"):
        share_of_files(folders / "clean", "train")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clean_share": 0.6, "noise_share": 0.4}, "leave mixtures"),
        ({"snr_db": (5.0, 0.0)}, "lower ratio first"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        NoisyMixtures(**settings)


@pytest.fixture
def pairs(tmp_path):
    rng = np.random.default_rng(1)
    for split in ("train", "validation", "test"):
        for index in range(3):
            clean = 0.1 * rng.standard_normal(3000 + 100 * index)
            for side, samples in (("clean", clean), ("noisy", clean + 0.01)):
                folder = tmp_path / split / side
                folder.mkdir(parents=True, exist_ok=True)
                soundfile.write(folder / f"p{index}.wav", samples, RATE, subtype="FLOAT")
    return tmp_path


def test_pairs_are_cropped_alike_and_tested_whole(pairs):
    data = NoisyPairs(root=str(pairs), window=500, batch_size=3, num_workers=0)
    (batch,) = batches(data.train_dataloader())
    assert batch.waveform.shape == (3, 1, 500)
    torch.testing.assert_close(
        batch.waveform - batch.target, torch.full((3, 1, 500), 0.01), atol=1e-6, rtol=0
    )
    tested = batches(data.test_dataloader())
    assert sorted(each.waveform.shape[-1] for each in tested) == [3000, 3100, 3200]
    assert sorted(each.key[0] for each in tested) == ["p0", "p1", "p2"]


def test_pairs_of_different_length_are_refused(pairs):
    soundfile.write(pairs / "test/noisy/p1.wav", np.zeros(99), RATE)
    with pytest.raises(ValueError, match=r"noisy/p1.wav: 99 samples where .*clean/p1.wav has 3100"):
        NoisyPairs(root=str(pairs)).setup("test")
    (pairs / "test/noisy/p1.wav").unlink()
    with pytest.raises(ValueError, match=r"p1.wav: no such file"):
        NoisyPairs(root=str(pairs)).setup("test")
