"""Packages of five models score as their checkpoints do, in every form, in a process without Lightning and W&B."""

import json
import os
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import torch

from datamodules.clips import ClipDataset
from datamodules.clips.search import clips_to_predict
from lightning_modules import export, predict
from lightning_modules.config import cli
from lightning_modules.package.folder import read_package
from lightning_modules.package.graphs import LIMIT, difference

MODELS = [
    pytest.param(name, marks=[] if name in ("lcnn", "tagger") else [pytest.mark.slow])
    for name in ("aasist", "lcnn", "asd_resnet", "datar", "tagger")
]
# Runs the command, then lists what must not have been imported.
COMMAND = """
import runpy, sys
runpy.run_module("lightning_modules.predict", run_name="__main__")
heavy = ("lightning", "wandb", "pytorch_lightning", "datamodules.base", "datamodules.ssd", "datamodules.asd")
print("imported", [name for name in heavy if name in sys.modules])
"""


def run(monkeypatch, module, *arguments):
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
    cli.one_line_errors(module.main)


def by_checkpoint(monkeypatch, capsys, checkpoint, files):
    """Lines that `predict` prints with the checkpoint."""
    sources = "[" + ",".join(map(str, files)) + "]"
    settings = ["--trainer.accelerator=cpu", "--data.num_workers=0", "--trainer.enable_progress_bar=false"]
    capsys.readouterr()
    run(monkeypatch, predict, f"--ckpt_path={checkpoint}", f"--data.predict={sources}", *settings)
    names = [path.stem for path in files]
    return [line for line in capsys.readouterr().out.splitlines() if line.split()[0] in names]


def values(lines):
    """Numbers of lines of keys, class names and numbers, by everything before them."""
    cells = [line.rsplit(maxsplit=1) for line in lines]
    return {name: float(value) for name, value in cells}


@pytest.mark.parametrize("name", MODELS)
def test_a_package_scores_as_its_checkpoint_does_without_lightning(
    name, exported, sounds, monkeypatch, capsys
):
    model = exported(name)
    expected = by_checkpoint(monkeypatch, capsys, model.checkpoint, sounds[name])
    arguments = ["--package", str(model.package), *map(str, sounds[name])]
    found = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments], capture_output=True, text=True, check=True
    )
    *lines, imported = found.stdout.splitlines()
    assert imported == "imported []"
    assert values(lines) == pytest.approx(values(expected), rel=LIMIT, abs=LIMIT)


@pytest.mark.parametrize("name", MODELS)
def test_graphs_of_real_clips_equal_the_package(name, exported, sounds):
    package = read_package(exported(name).package)
    listening = package.listening
    dataset = ClipDataset(
        clips_to_predict(sounds[name]), sample_rate=listening.sample_rate, crop_s=listening.crop_s
    )
    waveform = torch.stack([dataset[row, 0].waveform for row in (0, 1, 0)])  # a batch of another size
    with torch.inference_mode():
        expected = package.scorer(waveform).numpy()
        program = torch.export.load(exported(name).package / "model.pt2").module()
        np.testing.assert_allclose(program(waveform).numpy(), expected, rtol=LIMIT, atol=LIMIT)
    if (path := exported(name).package / "model.onnx").exists():
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (found,) = session.run(["score"], {"waveform": waveform.numpy()})
        np.testing.assert_allclose(np.asarray(found), expected, rtol=LIMIT, atol=LIMIT)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["aasist", "datar"])
def test_onnx_of_large_graphs(name, exported, tmp_path, monkeypatch):
    run(monkeypatch, export, f"--ckpt_path={exported(name).checkpoint}", f"--into={tmp_path / 'p'}", "--onnx")
    assert json.loads((tmp_path / "p" / "package.json").read_text())["about"]["parity"]["onnx"] <= LIMIT


@pytest.mark.parametrize("name", MODELS)
def test_the_card_and_the_json_say_what_was_exported(name, exported):
    folder = exported(name).package
    about = json.loads((folder / "package.json").read_text())["about"]
    assert set(about["parity"]) >= {"package", "torch_export"}
    assert max(about["parity"].values()) <= LIMIT
    assert about["provenance"]["run"] == "x"
    card = (folder / "README.md").read_text()
    assert type(read_package(folder).scorer.network).__name__ in card
    assert "none named" not in card
    assert os.sep + "package" not in card


def test_a_form_that_scores_otherwise_is_refused():
    clips = [torch.linspace(-1, 1, 5)[:, None, None]]
    assert difference(lambda x: x[:, 0, 0], clips, [clips[0].flatten()], "model.onnx") == 0
    with pytest.raises(ValueError, match=r"model\.onnx differs from the checkpoint by 1\.0e-03"):
        difference(lambda x: x[:, 0, 0] + 2e-3, clips, [clips[0].flatten()], "model.onnx")
    with pytest.raises(ValueError, match="nan"):
        difference(lambda x: x[:, 0, 0] * torch.nan, clips, [clips[0].flatten()], "model.onnx")


def test_a_calibration_goes_along(exported, tmp_path, monkeypatch, capsys):
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({"scale": [2.0], "offset": -0.5, "prior": 0.5}))
    arguments = [f"--ckpt_path={exported('lcnn').checkpoint}", f"--calibration={path}"]
    run(monkeypatch, export, *arguments, f"--into={tmp_path / 'p'}")
    calibration = read_package(tmp_path / "p").calibration
    assert calibration is not None
    assert calibration([3.0]) == 5.5
    assert "Log likelihood ratio: 2 score -0.5" in (tmp_path / "p" / "README.md").read_text()

    def refusal(name):
        arguments = [f"--ckpt_path={exported(name).checkpoint}", f"--calibration={path}"]
        with pytest.raises(SystemExit, match="1"):
            run(monkeypatch, export, *arguments, f"--into={tmp_path / 'q'}")
        return capsys.readouterr().err

    assert "of scores of bona fide speech" in refusal("tagger")
    path.write_text(json.dumps({"scale": [2.0, 1.0], "offset": -0.5}))
    assert "fuses 2 systems" in refusal("lcnn")
    path.write_text("{}")
    assert "no file of python -m lightning_modules.calibrate --json" in refusal("lcnn")


def test_an_existing_folder_is_kept(exported, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="1"):
        run(monkeypatch, export, f"--ckpt_path={exported('lcnn').checkpoint}")
    assert "exists: name another folder with --into" in capsys.readouterr().err
