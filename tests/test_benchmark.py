"""The benchmark measures and writes what it promises; its figures are not judged here."""

import json
import math
import sys
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader

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


def test_both_loops_are_timed_over_as_many_steps(monkeypatch, tmp_path):
    class OneSecondAStep(LightningModule):
        clock = 0.0

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def training_step(self, batch, batch_idx):
            type(self).clock += 1.0
            return self.weight.sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    monkeypatch.setattr(benchmark, "_now", lambda module: module.clock)
    batches = [torch.zeros(1)] * 3
    turns = benchmark.TakeTurns(batches, budget_s=40)
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
    assert turns.steps == 4  # 40 s for five rounds of two blocks
    assert turns.platform_s == turns.bare_s == [4.0] * benchmark.ROUNDS
