"""Learned effects: training, the chosen checkpoint, figures, pieces of a recording, alignment."""

import csv
import re

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from datamodules import EffectPairs
from datamodules.production.pairs.pairs import PairBatch
from lightning_modules.commands.trained import trained_model
from lightning_modules.networks import TCN, SignalTrain
from lightning_modules.production import LearnedEffect
from lightning_modules.production.effect import log_cosh
from lightning_modules.run.checkpoints import read_checkpoint


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def logged(folder, name):
    return [float(row[name]) for row in rows(folder / "metrics.csv") if row.get(name)]


def network(kind, num_knobs=2):
    torch.manual_seed(0)
    if kind == "signal_train":
        return SignalTrain(num_knobs, scale=0.25, size=128, hop=48)
    return TCN(num_knobs, blocks=3, growth=3, channels=4, causal=kind == "causal", output="linear")


def module(kind, num_knobs=2):
    return LearnedEffect(network(kind, num_knobs)).eval()


def test_training_comes_near_and_the_best_checkpoint_is_scored(learned):
    errors = logged(learned, "val/esr")
    assert len(errors) == 3
    assert errors[-1] < 0.3 * errors[0]
    (row,) = rows(learned / "results.csv")
    assert float(row["esr"]) < 0.1 * float(row["esr_dry"])
    (best,) = (learned / "checkpoints").glob("best*.ckpt")
    assert row["checkpoint"] == best.name
    assert float(re.findall(r"\d\.\d+", best.name)[0]) == pytest.approx(min(errors), abs=1e-6)


def test_checkpoints_keep_rate_and_knobs(learned):
    checkpoint = read_checkpoint(learned / "checkpoints/last.ckpt")
    assert checkpoint["sample_rate"] == 8000
    assert checkpoint["knobs"] == {"level": [-20.0, 0.0]}


def test_figures_are_those_of_the_rendered_files(learned, turned_down):
    (result,) = rows(learned / "results.csv")
    model = trained_model(str(learned / "checkpoints" / result["checkpoint"]), LearnedEffect, wanted="")
    errors, dry_errors, powers, deviations, sizes = [], [], [], [], []
    for number, level in enumerate((-13, -3, -9)):
        source, target = (
            soundfile.read(turned_down / "Test" / name)[0]
            for name in (f"input_{number}_.wav", f"target_{number}_Level__{level}.wav")
        )
        knobs = torch.tensor([[(level + 20) / 20 - 0.5]])
        estimate = model.render(torch.from_numpy(source)[None, None].float().to(model.device), knobs)
        error = estimate.cpu()[0, 0].numpy() - target
        errors.append((error**2).sum())
        dry_errors.append(((source - target) ** 2).sum())
        powers.append((target**2).sum())
        deviations.append(np.abs(error).sum())
        sizes.append(len(source))
    assert float(result["esr"]) == pytest.approx(sum(errors) / sum(powers), rel=1e-3, abs=1e-6)
    assert float(result["esr_dry"]) == pytest.approx(sum(dry_errors) / sum(powers), rel=1e-4)
    assert float(result["mae"]) == pytest.approx(sum(deviations) / sum(sizes), rel=1e-3, abs=1e-6)
    pairs = rows(learned / "tables/test_pairs.csv")
    assert [(row["key"], float(row["level"])) for row in pairs] == [
        ("Test/0", -13),
        ("Test/1", -3),
        ("Test/2", -9),
    ]
    for row, error, power in zip(pairs, errors, powers, strict=True):
        assert float(row["esr"]) == pytest.approx(error / power, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("kind", ["causal", "symmetric", "signal_train"])
@pytest.mark.parametrize("time", [1, 479, 480, 5003])
def test_a_recording_does_not_depend_on_the_blocks_it_is_cut_into(kind, time):
    model = module(kind)
    waveform, knobs = 0.3 * torch.randn(2, 1, time), torch.rand(1, 2) - 0.5
    whole = model.render(waveform, knobs)
    assert whole.shape == waveform.shape
    for block in (64, 480, 4096):
        assert (model.render(waveform, knobs, block=block) - whole).abs().max() < 1e-5


@pytest.mark.parametrize("kind", ["causal", "symmetric"])
def test_a_recording_is_what_the_network_makes_of_it_between_silences(kind):
    model = module(kind)
    waveform, knobs = 0.3 * torch.randn(1, 1, 1234), torch.rand(1, 2) - 0.5
    padded = nn.functional.pad(waveform, (model.past, model.look_ahead))
    with torch.no_grad():
        expected = model.network(padded, knobs)
    assert torch.allclose(model.render(waveform, knobs, block=100), expected, atol=1e-6)


def test_a_capture_hears_no_future():
    model = module("causal", num_knobs=0)
    waveform = 0.3 * torch.randn(1, 1, 3000)
    changed = waveform.clone()
    changed[..., 1500:] = 1
    before, after = model.render(waveform), model.render(changed)
    assert (before - after)[..., :1500].abs().max() < 1e-6
    assert (before - after)[..., 1500:].abs().max() > 1e-3


def identities():
    silent = network("signal_train")
    for parameter in silent.magnitude.parameters():  # pyright: ignore[reportAttributeAccessIssue]
        nn.init.zeros_(parameter)  # without magnitudes, the residual alone remains
    return [silent, *(TCN(2, blocks=3, causal=causal, output="gain") for causal in (True, False))]


@pytest.mark.parametrize("index", range(3))
def test_output_lies_where_its_input_lay(index):
    model = LearnedEffect(identities()[index]).eval()
    waveform = torch.randn(1, 1, 2500)
    assert torch.allclose(model.render(waveform, torch.zeros(1, 2)), waveform, atol=1e-6)


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize(
    "loss", [{"loss": "esr"}, {"loss": "log_cosh"}, {"loss": "l1_stft"}, {"objective": nn.MSELoss()}], ids=str
)
def test_losses_compare_samples_of_the_same_time(index, loss):
    model = LearnedEffect(identities()[index], **loss).train()
    model.log = lambda *args, **kwargs: None
    waveform = torch.randn(2, 1, 4096)
    batch = PairBatch(waveform, waveform, torch.zeros(2, 2), torch.arange(2), ["a", "b"], {})
    assert model.training_step(batch, 0).item() < 1e-5
    assert model.training_step(batch._replace(target=waveform.roll(1, -1)), 0).item() > 0.1


@pytest.mark.parametrize("sign", [1, -1])
def test_log_cosh_has_all_digits_of_errors_of_any_size(sign):
    size = torch.logspace(-18, 38, 561, dtype=torch.float64)
    error = (sign * size).float().requires_grad_()
    exact = error.detach().double()
    size = exact.abs()
    # x² / 2 - x⁴ / 12 + x⁶ / 45 of small ones; without e to the -2 |x| of great ones
    series = size.square() / 2 * (1 - size.square() / 6 + 2 * size**4 / 45)
    expected = torch.where(size < 1e-2, series, torch.where(size > 20, size - np.log(2), size.cosh().log()))
    found = log_cosh(error)
    torch.testing.assert_close(found.double(), expected, rtol=3e-7, atol=0)
    found.sum().backward()
    torch.testing.assert_close(error.grad.double(), exact.tanh(), rtol=3e-7, atol=0)
    assert log_cosh(torch.zeros(1)).item() == 0


def effect_on(root, num_knobs=1):
    model = module("causal", num_knobs)
    data = EffectPairs(root=str(root), sample_rate=8000, chunk=256, num_workers=0)
    data.setup("fit")
    model.trainer = type("T", (), {"datamodule": data})()  # pyright: ignore[reportAttributeAccessIssue]
    return model


def test_data_of_another_effect_are_refused(turned_down):
    with pytest.raises(ValueError, match=r"1 knobs .*the network 2: set model.network.num_knobs to 1"):
        effect_on(turned_down, num_knobs=2).setup("fit")
    model = effect_on(turned_down)
    model.setup("fit")
    model.setup("fit")
    model.knobs = {"level": [-20.0, 6.0]}
    with pytest.raises(ValueError, match="take data of the same effect"):
        model.setup("fit")
    model.sample_rate = 44100
    with pytest.raises(ValueError, match=r"set data.sample_rate to 44100, or train anew"):
        model.setup("fit")


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="'mse': expected log_cosh"):
        LearnedEffect(network("causal"), loss="mse")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="TCN has no magnitudes"):
        LearnedEffect(network("causal"), spectral_decay=1e-6)
