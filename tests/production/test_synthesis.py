"""Synthesis: whose turn it is, what a run keeps and leaves, the same sounds from the same seed."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from datamodules import OneShots
from datamodules.clips import Batch
from datamodules.demo.one_shots import write_one_shots
from lightning_modules import fit, generate
from lightning_modules.networks import SpecGAN, WaveGAN
from lightning_modules.production import Synthesizer

CONFIGS = Path(__file__).parents[2] / "configs"
OVERLAYS = {
    "wavegan": ["production_wavegan_small"],
    "specgan": ["production_wavegan_small", "production_specgan"],
}
OVERRIDES = {
    "data.root": "drums",
    "data.num_workers": "0",
    "data.epoch_items": "24",
    "data.batch_size": "8",
    "trainer.check_val_every_n_epoch": "2",
    "trainer.enable_progress_bar": "false",
    "trainer.accelerator": "cpu",
    "model.network.dim": "2",
    "run.id": "a",
    "tracking.wandb": "disabled",
}


@pytest.fixture(autouse=True)
def drums(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_one_shots(tmp_path / "drums", num_kits=2, num_hits=4)


def run(monkeypatch, network, **overrides):
    files = [
        CONFIGS / "production_wavegan.yaml",
        *(CONFIGS / f"overlays/{n}.yaml" for n in OVERLAYS[network]),
    ]
    settings = OVERRIDES | {name.replace("__", "."): value for name, value in overrides.items()}
    arguments = [f"--config={file}" for file in files] + [f"--{k}={v}" for k, v in settings.items()]
    monkeypatch.setattr("sys.argv", ["fit", *arguments])
    fit.main()
    (folder,) = Path("runs").glob("*/a")
    return folder


def checkpoint(folder):
    return torch.load(folder / "checkpoints/last.ckpt", weights_only=True)


def steps(optimizer):
    return {int(state["step"]) for state in optimizer["state"].values()}


@pytest.mark.parametrize("network", OVERLAYS)
def test_five_steps_of_the_discriminator_for_one_of_the_generator_also_after_a_pause(network, monkeypatch):
    more = {"model__loss": "wgan-gp", "model__critic_steps": "5"}
    folder = run(monkeypatch, network, trainer__max_steps="4", **more)
    first = checkpoint(folder)
    assert [steps(each) for each in first["optimizer_states"]] == [set(), {4}]
    run(monkeypatch, network, trainer__max_steps="12", **more)
    second = checkpoint(folder)
    assert [steps(each) for each in second["optimizer_states"]] == [{2}, {10}]
    assert second["num_batches"] == 10
    kept = [name for name in first["state_dict"] if "spectrogram" in name]
    assert len(kept) == (3 if network == "specgan" else 0)
    assert all(torch.equal(first["state_dict"][name], second["state_dict"][name]) for name in kept)


@pytest.mark.parametrize("network", OVERLAYS)
def test_a_run_leaves_figures_and_makes_the_same_sounds_from_the_same_seed(network, monkeypatch):
    folder = run(monkeypatch, network, trainer__max_steps="12")
    with (folder / "results.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert {"frechet", "envelope_ratio", "rms", "spread", "copies"} <= set(row)
    assert float(row["copies"]) == 0
    ckpt_path = str(folder / "checkpoints/last.ckpt")
    for into, num, seed in (("one", 3, 7), ("again", 5, 7), ("other", 3, 8)):
        generate.generate(ckpt_path, num=num, seed=seed, into=Path(into))
    sounds = {
        into: [soundfile.read(path)[0] for path in sorted(Path(into).iterdir())][:3]
        for into in ("one", "again", "other")
    }
    assert soundfile.info("one/sound0000.wav").samplerate == 8000
    assert sounds["one"][0].shape == (4096,)
    assert np.allclose(sounds["one"], sounds["again"], atol=1e-6)  # more of them begin with the same ones
    assert not np.allclose(sounds["one"], sounds["other"], atol=1e-3)


def test_moments_are_measured_once():
    module = Synthesizer(SpecGAN(4096, dim=2), sample_rate=8000)
    module.network.spectrogram.fit([torch.randn(2, 1, 4096)])  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
    module.on_fit_start()  # asks no trainer for data
    Synthesizer(WaveGAN(4096, dim=2), sample_rate=8000).on_fit_start()


def test_every_rank_hears_all_training_clips():
    data = one_shots(eval_batch_size=4)
    data.setup("fit")
    data.trainer = type("T", (), {"global_rank": 1, "world_size": 2, "num_devices": 2})()  # pyright: ignore[reportAttributeAccessIssue]
    heard = torch.cat([batch.index for batch in data.reference_dataloader()])
    assert heard.tolist() == list(range(len(data.rows["train"])))


def test_a_short_list_of_clips_goes_on_from_its_beginning():
    data = one_shots(batch_size=8, epoch_items=80)
    data.setup("fit")
    seen = torch.cat([batch.index for batch in data.train_dataloader()]).bincount()
    assert int(seen.sum()) == 80
    assert int(seen.max() - seen.min()) <= 1


def test_half_of_the_sounds_are_turned_over():
    module = Synthesizer(WaveGAN(1024, dim=2), sample_rate=8000, random_polarity=True)
    waveform = torch.rand(400, 1, 1024)
    turned = module._real(batch_of(waveform)) / waveform
    assert set(turned.unique().round().tolist()) == {-1.0, 1.0}
    assert 140 < int((turned[:, 0, 0] < 0).sum()) < 260


def test_clips_of_another_length_or_without_a_critic_are_refused():
    module = Synthesizer(WaveGAN(1024, dim=2), sample_rate=8000)
    with pytest.raises(ValueError, match="2 x 1024 samples"):
        module._real(batch_of(torch.zeros(3, 2, 1024)))
    with pytest.raises(ValueError, match="critic_steps is 0"):
        Synthesizer(WaveGAN(1024, dim=2), sample_rate=8000, critic_steps=0)


def test_only_wanted_classes_and_a_wrong_one_is_named():
    data = one_shots(only=["kick", "snare"])
    names = data.heads["class"]
    assert {names[int(clip.target)] for clip in data.split("train")} == {"kick", "snare"}  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="'drum'"):
        one_shots(only=["drum"]).split("train")


def one_shots(**settings):
    data = OneShots(root="drums", source=None, num_samples=4096, sample_rate=8000, num_workers=0, **settings)
    data.prepare_data()
    return data


def batch_of(waveform):
    number = len(waveform)
    return Batch(
        waveform=waveform,
        length=torch.full((number,), waveform.shape[2]),
        target=torch.zeros(number, dtype=torch.long),
        key=[""] * number,
        attributes={},
        index=torch.arange(number),
    )
