"""A run killed or stopped at any moment and started again ends with the weights of the undisturbed run, bit for bit."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from equality import assert_equal
from lightning.pytorch import LightningModule

from lightning_modules.callbacks import last_checkpoint
from lightning_modules.callbacks.last_checkpoint import LastCheckpoint
from lightning_modules.run.checkpoints import read_checkpoint

REPOSITORY = Path(__file__).parents[2]
FOLDER = "ssd_aasist_inf_ini/x"
SETTINGS = [
    "--config=configs/ssd_aasist_inf_ini.yaml",
    "--data.train_crop_s=0.3",
    "--data.eval_crop_s=0.3",
    "--data.batch_size=6",
    "--data.num_workers=0",
    "--model.inter_instance.bank_size=32",
    "--trainer.accelerator=cpu",
    "--trainer.max_epochs=2",
    "--trainer.limit_val_batches=2",
    "--trainer.log_every_n_steps=1",
    "--trainer.enable_progress_bar=false",
    "--checkpoints.every_n_train_steps=2",
    "--tracking.wandb=disabled",
    "--seed_everything=3",
]


def start(demo_corpus: Path, root: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "lightning_modules.fit", *SETTINGS]
    command += [f"--data.root={demo_corpus}", f"--run.root={root}", "--run.id=x"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output[-3000:]
    return output


def compare(undisturbed: Path, resumed: Path) -> None:
    ours, theirs = (read_checkpoint(folder / "checkpoints/last.ckpt") for folder in (undisturbed, resumed))
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "random_states", "epoch", "global_step"):
        assert_equal(ours[part], theirs[part], part)
    assert not list((resumed / "checkpoints").glob(".*.tmp"))


@pytest.fixture(scope="module")
def undisturbed(demo_corpus, tmp_path_factory):
    """The run that nobody stops; returns its root and how long it trained after its first checkpoint."""
    root = tmp_path_factory.mktemp("undisturbed")
    process = start(demo_corpus, root)
    checkpoint = root / FOLDER / "checkpoints/last.ckpt"
    while not checkpoint.is_file() and process.poll() is None:
        time.sleep(0.02)
    begin = time.monotonic()
    finish(process)
    return root, time.monotonic() - begin


@pytest.fixture
def stop_and_resume(demo_corpus, undisturbed, metrics_rows):
    """Sends a run a signal at a share of the time after its first checkpoint, lets it end, and compares."""

    def stop(root: Path, share: float, number: signal.Signals) -> None:
        process = start(demo_corpus, root)
        checkpoint = root / FOLDER / "checkpoints/last.ckpt"
        while not checkpoint.is_file():
            assert process.poll() is None, process.communicate()[0][-3000:]
            time.sleep(0.02)
        time.sleep(share * undisturbed[1])
        process.send_signal(number)
        process.communicate()
        assert process.returncode == (-number if number == signal.SIGKILL else 75)
        assert "continues at step" in finish(start(demo_corpus, root))
        compare(undisturbed[0] / FOLDER, root / FOLDER)
        trained = [
            [row for row in metrics_rows(each / FOLDER / "metrics.csv") if row["train/loss"]]
            for each in (undisturbed[0], root)
        ]
        assert trained[0] == trained[1], "the resumed run lost or repeated rows of metrics.csv"

    return stop


@pytest.mark.parametrize("number", [pytest.param(signal.SIGKILL, marks=pytest.mark.slow), signal.SIGTERM])
def test_one_stop(number, stop_and_resume, tmp_path):
    stop_and_resume(tmp_path, 0.3, number)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_random_kills(stop_and_resume, tmp_path):
    draw = random.Random(0)
    for attempt in range(10):
        stop_and_resume(tmp_path / str(attempt), draw.uniform(0, 0.9), signal.SIGKILL)


def test_a_resumed_run_saves_no_half_accumulated_step(tmp_path, monkeypatch):
    monkeypatch.setattr(last_checkpoint, "validation_follows", lambda trainer: False)
    saved = []
    last = LastCheckpoint(tmp_path / "last.ckpt", previous=tmp_path / "last-1.ckpt", every_n_train_steps=3)
    trainer: Any = SimpleNamespace(
        global_step=3, save_checkpoint=lambda *_, **__: saved.append(trainer.global_step)
    )
    last.on_train_start(trainer, LightningModule())
    for step in (3, 3, 4, 4, 5, 5, 6, 6):  # two batches a step
        trainer.global_step = step
        last.on_train_batch_end(trainer, LightningModule())
    assert saved == [6]


def test_steps_of_one_batch_pass_over_no_save(tmp_path, monkeypatch):
    monkeypatch.setattr(last_checkpoint, "validation_follows", lambda trainer: False)
    saved = []
    last = LastCheckpoint(tmp_path / "last.ckpt", previous=tmp_path / "last-1.ckpt", every_n_train_steps=10)
    trainer: Any = SimpleNamespace(
        global_step=0, is_last_batch=False, save_checkpoint=lambda *_, **__: saved.append(trainer.global_step)
    )
    last.on_train_start(trainer, LightningModule())
    for _ in range(8):  # batches of seven steps
        trainer.global_step += 7
        last.on_train_batch_end(trainer, LightningModule())
    assert saved == [14, 21, 35, 42, 56]
