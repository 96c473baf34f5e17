"""The benchmark measures and writes what it promises; its figures are not judged here."""

import json
import math
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Trainer
from plain_method import PlainMethod
from torch import nn
from torch.utils.data import DataLoader

from lightning_modules.benchmark import __main__ as command
from lightning_modules.benchmark import steps
from lightning_modules.benchmark.loading import DataWait, packed_over_files
from lightning_modules.benchmark.rank_speed import scaling_efficiency
from lightning_modules.benchmark.trace import Trace
from lightning_modules.config import cli

REPOSITORY = Path(__file__).parents[2]
SHORT = [
    "--data.train_crop_s=0.5",
    "--data.batch_size=4",
    "--data.num_workers=0",
    "--trainer.accelerator=cpu",
    "--budget_s=1",
]


def build_reference() -> nn.Module:
    return nn.Sequential(nn.Conv1d(1, 4, 16, stride=8), nn.ReLU(), nn.AdaptiveAvgPool1d(1))


@pytest.fixture(autouse=True)
def in_repository(monkeypatch):
    monkeypatch.chdir(REPOSITORY)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["benchmark", *arguments])
    cli.one_line_errors(command.main)


def test_figures_are_written(monkeypatch, tmp_path, demo_corpus, capsys):
    paths = {name: tmp_path / name for name in ("figures.json", "figures.md", "trace.json")}
    run(
        monkeypatch,
        *(
            "--config=configs/ssd_lcnn_inf_ini.yaml",
            "--model.network.num_frames=63",
            f"--data.root={demo_corpus}",
        ),
        *(*SHORT, f"--reference={__name__}:build_reference"),
        *(f"--json={paths['figures.json']}", f"--markdown={paths['figures.md']}"),
        f"--profile={paths['trace.json']}",
    )
    figures = json.loads(paths["figures.json"].read_text())
    assert figures["batch"] == [4, 1, 8000]
    assert len(figures["platform_over_bare_rounds"]) == steps.ROUNDS
    for name in (
        *(
            "platform_steps_per_s",
            "bare_steps_per_s",
            "platform_over_bare",
            "platform_over_bare_cpu",
            "loader_clips_per_s",
        ),
        *("packed_over_flac", "frontend_batched_over_per_clip", "ours_over_reference"),
    ):
        assert figures[name] > 0
        assert math.isfinite(figures[name])
    assert figures["ours_over_reference"] > 1  # of a network of 68 weights
    assert 0 <= figures["data_wait_share"] <= 1
    assert "platform_over_bare" in capsys.readouterr().out
    assert f"| platform_over_bare | {figures['platform_over_bare']:.4g} |" in paths["figures.md"].read_text()
    names = {event.get("name") for event in json.loads(paths["trace.json"].read_text())["traceEvents"]}
    assert "aten::mkldnn_convolution" in names


def test_a_step_of_more_clips_than_there_are(monkeypatch, tmp_path, demo_corpus):
    files = ["--config=configs/ssd_lcnn.yaml", "--config=configs/overlays/fused.yaml"]
    size = ["--model.network.num_frames=63", "--data.batch_size=64", "--data.train_crop_s=0.5"]
    path = tmp_path / "step.json"
    run(monkeypatch, *files, *size, *SHORT[2:], f"--data.root={demo_corpus}", "--step", f"--json={path}")
    figures = json.loads(path.read_text())
    assert len(list((demo_corpus / "ASVspoof2019_LA_train/flac").glob("*.flac"))) < 64
    assert figures["batch"] == [64, 1, 8000]
    assert figures["step_s"] > 0
    weights_and_adam = 16 * figures["parameters"]
    first_maps = 4 * 64 * 64 * 63 * 240  # (batch, channel, frame, band) of the first convolution
    assert weights_and_adam + first_maps < figures["step_gib"] * 2**30 < weights_and_adam + 10 * first_maps


def test_reading_degraded_clips_is_measured_beside_clean_ones(monkeypatch, tmp_path, demo_corpus):
    path = tmp_path / "loader.json"
    arguments = ["--config=configs/ssd_lcnn_lstm_sum.yaml", *SHORT, f"--data.root={demo_corpus}", "--loader"]
    run(monkeypatch, *arguments, "--data.degrade={vorbis: 1.0}", f"--json={path}")
    figures = json.loads(path.read_text())
    assert figures["degraded_over_clean"] == figures["degraded_clips_per_s"] / figures["loader_clips_per_s"]
    assert 0 < figures["degraded_over_clean"] < 0.8  # a codec takes more than reading a short FLAC
    run(monkeypatch, *arguments, f"--json={path}")
    assert json.loads(path.read_text()).keys() == {"loader_clips_per_s"}


def test_what_learns_in_one_go_has_no_step(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MAPPING_ROOT", str(tmp_path))
    with pytest.raises(SystemExit):
        run(monkeypatch, "--config=configs/production_mapper.yaml", "--step")
    assert "Perceptron learns in one go" in capsys.readouterr().err


def test_a_schedule_that_waits_for_a_validation_does_not_stop_the_benchmark(
    monkeypatch, tmp_path, demo_events
):
    data = [f"--data.root={demo_events}/VGGSound", "--data.batch_size=2", "--data.train_crop_s=1"]
    run(monkeypatch, "--config=configs/event_resnet.yaml", *data, *SHORT[2:], f"--json={tmp_path}/f.json")
    assert json.loads((tmp_path / "f.json").read_text())["platform_steps_per_s"] > 0


def test_two_ranks(demo_corpus, tmp_path):
    efficiency = scaling_efficiency(
        2,
        [
            *("--config=configs/ssd_aasist.yaml", "--config=configs/overlays/ssd_aasist_light.yaml"),
            *(f"--data.root={demo_corpus}", *SHORT[:-1], f"--run.root={tmp_path}", "--trainer.max_epochs=1"),
            *("--tracking.wandb=disabled", "--trainer.limit_val_batches=0"),
        ],
        1.0,
        tmp_path,
    )
    assert 0 < efficiency < 4


def test_ranks_that_fail_are_one_line(tmp_path):
    with pytest.raises(ValueError, match="2 ranks ended with exit code 2"):
        scaling_efficiency(2, ["--config=configs/ssd_aasist.yaml", "--trainer.epochs=1"], 1.0, tmp_path)


def test_reference_that_is_not_there(monkeypatch, demo_corpus, capsys):
    with pytest.raises(SystemExit):
        run(
            monkeypatch,
            *(
                "--config=configs/ssd_lcnn.yaml",
                "--model.network.num_frames=63",
                f"--data.root={demo_corpus}",
            ),
            *(*SHORT, "--reference=math:network"),
        )
    assert "--reference math:network: module 'math' has no attribute 'network'" in capsys.readouterr().err


def test_packed_data_are_not_packed_again(demo_corpus, tmp_path):
    assert packed_over_files(demo_corpus, tmp_path / "once")["packed_over_flac"] > 1
    assert packed_over_files(tmp_path / "once/packed", tmp_path / "twice") == {}
    assert packed_over_files(REPOSITORY / "configs", tmp_path / "none") == {}


def test_both_loops_are_timed_over_as_many_steps(monkeypatch, tmp_path):
    class OneSecondAStep(PlainMethod):
        clock = 0.0

        def training_step(self, batch, batch_idx):
            type(self).clock += 1.0
            return self.weight.sum()

    monkeypatch.setattr(steps, "now", lambda device: steps.Instant(OneSecondAStep.clock, 0.0))
    batches = [torch.zeros(1)] * 3
    turns = steps.TakeTurns(batches, budget_s=72)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[turns],
        default_root_dir=tmp_path,
    )
    trainer.fit(OneSecondAStep(), DataLoader([torch.zeros(1)] * 100, batch_size=None))  # pyright: ignore[reportArgumentType]
    assert turns.steps == 4  # 72 s for nine rounds of two blocks
    assert turns.platform == turns.bare == [(4.0, 0.0)] * steps.ROUNDS


def test_epochs_of_few_batches_are_traced_and_timed(tmp_path):
    model, wait = SimpleNamespace(device=torch.device("cpu")), DataWait()
    trace = Trace(tmp_path / "trace.json")
    for batch_idx in (0, 1, 0, 1, 0, 1):
        time.sleep(0.01)
        wait.on_train_batch_start(None, model, None, batch_idx)  # pyright: ignore[reportArgumentType]
        wait.on_train_batch_end(None, model, None, None, batch_idx)  # pyright: ignore[reportArgumentType]
        trace.on_train_batch_end(None, model, None, None, batch_idx)  # pyright: ignore[reportArgumentType]
    assert 0.5 < wait.share <= 1
    assert (tmp_path / "trace.json").is_file()
    short = Trace(tmp_path / "short.json")
    short.on_train_batch_end(None, model, None, None, 0)  # pyright: ignore[reportArgumentType]
    short.on_train_end(None, model)  # pyright: ignore[reportArgumentType]
    assert (tmp_path / "short.json").is_file()
