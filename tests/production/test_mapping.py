"""The mapper through the commands: figures, checkpoints that need no data, audio."""

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from datamodules.demo.mapping import write_mapping
from lightning_modules import fit, test
from lightning_modules.config import cli
from lightning_modules.frontends import Descriptors
from lightning_modules.mapper.session import Session
from lightning_modules.networks import NearestExamples, Perceptron
from lightning_modules.production import Mapper
from lightning_modules.production.mapping import output_metrics
from lightning_modules.run.checkpoints import load_weights

REPOSITORY = Path(__file__).parents[2]


def run(monkeypatch, command, *arguments):
    monkeypatch.setattr(sys, "argv", [command.__name__, *arguments])
    cli.one_line_errors(command.main)


def settings(tmp_path, root, *more):
    quiet = ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]
    quiet += ["--tracking.wandb=disabled", f"--run.root={tmp_path}/runs", "--run.id=x"]
    return ["--config=configs/production_mapper.yaml", f"--data.root={root}", *quiet, *more]


def results(tmp_path):
    with (tmp_path / "runs/production_mapper/x/results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def demo(tmp_path):
    write_mapping(tmp_path / "mapping")
    return tmp_path / "mapping"


def test_a_run_reaches_the_figures_and_its_checkpoint_is_all_that_a_session_needs(
    demo, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(REPOSITORY)
    run(monkeypatch, fit, *settings(tmp_path, demo))
    (row,) = results(tmp_path)
    assert min(float(row[f"r2_{name}"]) for name in ("pan", "level", "cutoff_hz")) > 0.95
    assert float(row["accuracy_scene"]) > 0.95
    folder = tmp_path / "runs/production_mapper/x"
    assert (folder / "scores/test.csv").read_text().startswith("key,pan,level,cutoff_hz,scene\n1,")

    checkpoint = f"--ckpt_path={folder}/checkpoints/last.ckpt"
    platform = cli.build("mapper", "", [checkpoint, "--data.root=/nowhere"])
    load_weights(platform.model, folder / "checkpoints/last.ckpt")
    live = Session(platform.model)
    with (
        (folder / "scores/test.csv").open(newline="") as scores,
        (demo / "test.csv").open(newline="") as points,
    ):
        expected, point = next(csv.DictReader(scores)), next(csv.DictReader(points))
    answer = live.receive([float(point["x"]), float(point["y"])])
    assert answer is not None
    assert answer[:3] == pytest.approx(
        [float(expected[name]) for name in ("pan", "level", "cutoff_hz")], abs=1e-3
    )
    assert live.mapper.outputs["scene"][int(answer[3])] == expected["scene"]

    run(monkeypatch, test, checkpoint)
    (again,) = results(tmp_path)
    assert again["r2_level"] == row["r2_level"]
    with pytest.raises(SystemExit):
        run(monkeypatch, test, checkpoint, "--data.outputs=[pan,level]")
    assert "trained on ['x', 'y'] -> {'pan'" in capsys.readouterr().err


def test_neighbours_of_the_training_examples_are_themselves(demo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(REPOSITORY)
    (demo / "test.csv").unlink()
    network = "--model.network=lightning_modules.networks.NearestExamples"
    run(monkeypatch, fit, *settings(tmp_path, demo, network))
    (row,) = results(tmp_path)
    assert (row["r2_pan"], row["mae_cutoff_hz"], row["accuracy_scene"]) == (
        "1.000000",
        "0.000000",
        "1.000000",
    )
    assert row["data"] == "training examples"
    assert "no test.csv" in capsys.readouterr().out


def test_sounds_are_mapped_through_the_front_end(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(REPOSITORY)
    root, time = tmp_path / "sounds", np.arange(8000) / 16000
    root.mkdir()
    lines = {"train": "path,pitch\n", "test": "path,pitch\n"}
    for index, frequency in enumerate(range(400, 2200, 100)):
        soundfile.write(root / f"{frequency}.wav", 0.3 * np.sin(2 * np.pi * frequency * time), 16000)
        lines["test" if index % 3 == 1 else "train"] += f"{frequency}.wav,{frequency}\n"
    for split, text in lines.items():
        (root / f"{split}.csv").write_text(text)
    more = ["--data.outputs=[pitch]", "--data.class_outputs=[]", "--data.clip_s=0.5"]
    frontend = "--model.frontend=lightning_modules.frontends.Descriptors"
    with pytest.raises(SystemExit):
        run(monkeypatch, fit, *settings(tmp_path, root, *more))
    assert "set model.frontend" in capsys.readouterr().err
    run(monkeypatch, fit, *settings(tmp_path, root, *more, frontend, "--model.network.hidden_dim=0"))
    assert float(results(tmp_path)[-1]["r2_pitch"]) > 0.9


@pytest.mark.parametrize(
    ("network", "fresh"),
    [(Perceptron(3), Perceptron(3)), (NearestExamples(2), NearestExamples(2))],
)
def test_weights_and_examples_come_back(network, fresh, tmp_path):
    x, y = torch.rand(6, 2), torch.rand(6, 1)
    trained = Mapper(network)
    trained.input_names, trained.outputs = ["x", "y"], {"gain": []}
    trained.learn(x, y)
    checkpoint: dict[str, Any] = {"state_dict": trained.state_dict()}
    trained.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, tmp_path / "mapper.ckpt")
    restored = Mapper(fresh)
    load_weights(restored, tmp_path / "mapper.ckpt")
    points = torch.rand(5, 2)
    assert torch.equal(restored(points), trained(points))
    assert restored.examples is not None
    assert torch.equal(restored.examples[0], x)


def test_windows_of_sound_reach_the_outputs():
    frontend = Descriptors()
    mapper = Mapper(NearestExamples(), frontend=frontend)
    mapper.input_names, mapper.outputs = frontend.names, {"volume": []}
    noise = torch.randn(2, 4000) * torch.tensor([[0.1], [0.001]])
    mapper.learn(frontend(noise), torch.tensor([[1.0], [0.0]]))
    live = Session(mapper)
    assert [live.hear(window) for window in noise] == [[1.0], [0.0]]
    assert live.receive(frontend(noise[1:])[0].tolist()) == [0.0]


def test_figures_of_an_output():
    values = torch.tensor([1.0, 2, 3, 6])
    found = output_metrics(values + 1, values, is_class=False)
    assert found["r2"] == pytest.approx(1 - 4 / 14)
    assert found["mae"] == pytest.approx(1)
    assert np.isnan(output_metrics(values, torch.ones(4), is_class=False)["r2"])
    assert output_metrics(values, values.clone().fill_(2), is_class=True)["accuracy"] == 0.25
