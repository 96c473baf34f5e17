"""Every task has baselines, in the figures of its own report; the command shows and writes them."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from datamodules import DCASE, AudioFolder
from lightning_modules import baseline
from lightning_modules.asd.machine_report import machine_report
from lightning_modules.baselines.distances import nearest_normal
from lightning_modules.baselines.statistics import describe
from lightning_modules.baselines.tasks import baselines
from lightning_modules.config import cli
from lightning_modules.config.parts import build_parts, read_config

CONFIGS = Path(__file__).parents[2] / "configs"
FIGURES = {  # configuration -> a figure of its report, baselines
    "ssd_lcnn": ("eer", ["logistic regression", "nearest neighbour"]),
    "asd_maf": ("auc", ["nearest neighbour", "distance", "logistic regression"]),
    "event_resnet": ("top1", ["logistic regression", "nearest neighbour"]),
    "event_audio_slowfast_epic_kitchens": ("verb_top1", ["logistic regression", "nearest neighbour"]),
    "production_tagger": ("accuracy", ["logistic regression", "nearest neighbour"]),
    "production_mapper": ("r2_pan", ["linear or logistic", "nearest neighbour"]),
    "production_wavegan": ("frechet", ["training clips, shuffled"]),
}


@pytest.fixture
def run(monkeypatch, tmp_path, demo_corpus, demo_machines, demo_events):
    """Runs the command in an empty folder; returns the rows of its file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASVSPOOF2019_LA_ROOT", str(demo_corpus))
    monkeypatch.setenv("DCASE2020_ROOT", str(demo_machines))
    monkeypatch.setenv("VGGSOUND_ROOT", str(demo_events / "VGGSound"))
    monkeypatch.setenv("EPIC_ROOT", str(demo_events / "EPIC-KITCHENS-100"))

    def command(config, *more):
        words = [f"--config={CONFIGS}/{config}.yaml", "--output=baselines.csv", *more]
        monkeypatch.setattr(sys, "argv", ["baseline", *words])
        cli.one_line_errors(baseline.main)
        with Path("baselines.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return command


@pytest.mark.parametrize("config", FIGURES)
def test_every_task_has_baselines(config, run, capsys):
    figure, names = FIGURES[config]
    small = f"{CONFIGS}/overlays/production_wavegan_small.yaml"
    rows = run(config, *([f"--config={small}"] if config == "production_wavegan" else []))
    assert [row["baseline"] for row in rows] == names
    shown = capsys.readouterr().out
    for row in rows:
        assert np.isfinite(float(row[figure]))
        assert f"{float(row[figure]):.4f}" in shown
        assert int(row["clips"]) > 0
    assert not Path("runs").exists()


def test_pairs_point_to_their_report(run, capsys):
    with pytest.raises(SystemExit) as ended:
        run("production_denoiser")
    assert ended.value.code == 1
    assert "the recording as it is" in capsys.readouterr().err


@pytest.fixture
def two_sounds(tmp_path):
    """A folder of tones and of noises, which any classifier tells apart."""
    random = np.random.default_rng(0)
    for number in range(12):
        time = np.arange(8000) / 16000
        sounds = {
            "tone": 0.3 * np.sin(2 * np.pi * random.uniform(300, 600) * time),
            "noise": 0.1 * random.normal(size=8000),
        }
        for name, sound in sounds.items():
            path = tmp_path / "two" / name / f"{name}{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, sound, 16000)
    return tmp_path / "two"


def test_what_differs_is_told_apart(two_sounds, run):
    rows = run("production_tagger", f"--data.root={two_sounds}", "--data.near_duplicates=null")
    assert [float(row["accuracy"]) for row in rows] == [1.0, 1.0]


def test_clips_are_described_once_each_by_what_is_evaluated(two_sounds):
    data = AudioFolder(root=str(two_sounds), near_duplicates=None, num_workers=0, eval_batch_size=5)
    data.setup()
    found = describe(data.test_dataloader(), data.rows["test"], sample_rate=16000, device=torch.device("cpu"))
    assert [row.key for row in found.rows] == [row.key for row in data.rows["test"]]
    assert found.statistics.shape == (len(data.rows["test"]), 80)


def test_a_machine_is_compared_with_its_own_kind(demo_machines):
    data = DCASE(root=str(demo_machines), year=2020, num_workers=0)
    data.setup()
    method = build_parts(read_config(CONFIGS / "asd_autoencoder.yaml")).model
    reports = baselines(method, data)
    device = torch.device("cpu")
    train = describe(data.reference_dataloader(), data.rows["train"], sample_rate=16000, device=device)
    test = describe(data.test_dataloader(), data.rows["test"], sample_rate=16000, device=device)
    name = data.rows["test"][0].attributes["instance"]
    own = torch.tensor([r.target == 0 and r.attributes["instance"] == name for r in train.rows])
    tested = torch.tensor([row.attributes["instance"] == name for row in test.rows])
    wanted = nearest_normal(train.statistics[own], test.statistics[tested])
    scores = torch.tensor(reports["nearest neighbour"].scores, dtype=torch.float64)
    torch.testing.assert_close(scores[tested], wanted)
    assert (
        machine_report(test.rows, scores, year=2020, thresholds={}).metrics
        == reports["nearest neighbour"].metrics
    )
