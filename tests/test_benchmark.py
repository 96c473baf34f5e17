"""The benchmark measures and writes what it promises; its figures are not judged here."""

import json
import math
import sys
from pathlib import Path

from lightning_modules import benchmark, cli

REPOSITORY = Path(__file__).parents[1]


def test_figures_are_written(monkeypatch, tmp_path, demo_corpus, capsys):
    monkeypatch.chdir(REPOSITORY)
    path = tmp_path / "figures.json"
    arguments = [
        "--config=configs/ssd_lcnn_inf_ini.yaml",
        "--model.network.num_frames=63",
        f"--data.root={demo_corpus}",
        "--data.train_crop_s=0.5",
        "--data.batch_size=4",
        "--data.num_workers=0",
        "--trainer.accelerator=cpu",
        "--budget_s=1",
        f"--json={path}",
    ]
    monkeypatch.setattr(sys, "argv", ["benchmark", *arguments])
    cli.main(benchmark.main)
    figures = json.loads(path.read_text())
    assert figures["batch"] == [4, 1, 8000]
    assert len(figures["platform_over_bare_rounds"]) == benchmark.ROUNDS
    for name in ("platform_steps_per_s", "bare_steps_per_s", "platform_over_bare", "loader_clips_per_s"):
        assert figures[name] > 0
        assert math.isfinite(figures[name])
    assert 0 <= figures["data_wait_share"] <= 1
    assert "platform_over_bare" in capsys.readouterr().out
