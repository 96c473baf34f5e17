"""Official AASIST weights give genuine ASVspoof files scores of the right sign, through the predict command."""

import os
import sys
from pathlib import Path

import pytest

from lightning_modules import predict
from lightning_modules.config import cli

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["AASIST", "AASIST-L"])
def test_genuine_files_are_scored_with_the_right_sign(name, corpora, monkeypatch, tmp_path):
    reference = os.environ.get("AASIST_REFERENCE")
    if reference is None:
        pytest.skip("AASIST_REFERENCE does not name a clone of the official repository")
    folder = corpora / "genuine/ASVspoof2019_LA"
    rows = [line.split() for line in (folder / "protocol.txt").read_text().splitlines()]
    output = tmp_path / "scores.txt"
    arguments = ["--config=configs/ssd_aasist.yaml", f"--model.weights={reference}/models/weights/{name}.pth"]
    if name == "AASIST-L":
        arguments.insert(1, "--config=configs/overlays/ssd_aasist_light.yaml")
    arguments += [f"--data.predict=[{folder}/flac]", f"--output={output}", "--tracking.wandb=disabled"]
    arguments += ["--data.num_workers=0", "--trainer.enable_progress_bar=false", f"--run.root={tmp_path}"]
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr(sys, "argv", ["predict", *arguments])
    cli.one_line_errors(predict.main)
    scores = {key: float(score) for key, score in map(str.split, output.read_text().splitlines())}
    bonafide = [scores[row[1]] for row in rows if row[4] == "bonafide"]
    spoof = [scores[row[1]] for row in rows if row[4] == "spoof"]
    print(scores)
    assert len(scores) == len(rows)
    assert min(bonafide) > max(spoof)
    assert min(bonafide) > 0 > max(spoof)
