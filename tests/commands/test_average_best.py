"""`checkpoints.average_best`: the mean of the best checkpoints is written at the end of training and tested."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy_run import QUICK, rows, run_command

import lightning_modules
from lightning_modules import fit, test
from lightning_modules.callbacks.standard import Checkpoints
from lightning_modules.run.checkpoints import read_checkpoint
from lightning_modules.run.folder import Run, checkpoint_of

FOLDER = Path("runs/toy/x")
AVERAGE = ("--checkpoints.average_best=2", "--trainer.check_val_every_n_epoch=1")


def train(toy: Path, *more: str) -> None:
    run_command(fit, f"--config={toy}/toy.yaml", *QUICK, "--tracking.wandb=disabled", *more)


def assert_is_the_mean_of_the_best_two(folder: Path) -> None:
    run = Run(experiment="toy", id=folder.name, root=str(folder.parents[1]))
    best = run.ranked_checkpoints("min")
    assert len(best) == 2, "as many are kept"
    states = [read_checkpoint(path)["state_dict"] for path in best]
    found = read_checkpoint(run.average_checkpoint)
    assert found["average_of"] == [path.name for path in best]
    for name, tensor in found["state_dict"].items():
        first, second = (state[name] for state in states)
        if tensor.is_floating_point():
            assert torch.equal(tensor, ((first.double() + second.double()) / 2).to(tensor.dtype)), name
        else:
            assert torch.equal(tensor, first), name
    assert any(not torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_average_is_written_tested_and_not_gone_on_from(toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(toy, *AVERAGE)
    assert_is_the_mean_of_the_best_two(FOLDER)
    (row,) = rows(FOLDER / "results.csv")
    assert Path(row["checkpoint"]).name == "best-average.ckpt"
    scores = (FOLDER / "scores/test.txt").read_text()
    assert checkpoint_of(FOLDER) == FOLDER / "checkpoints/best-average.ckpt"
    run_command(test, f"--config={toy}/toy.yaml", *QUICK, "--tracking.wandb=disabled", *AVERAGE)
    assert (FOLDER / "scores/test.txt").read_text() == scores
    assert FOLDER / "checkpoints/best-average.ckpt" not in Run(experiment="toy", id="x").restarts
    train(toy, *AVERAGE, "--trainer.max_epochs=6")
    assert_is_the_mean_of_the_best_two(FOLDER)
    assert read_checkpoint(FOLDER / "checkpoints/last.ckpt")["epoch"] == 6
    train(toy, "--trainer.max_epochs=7")
    assert not (FOLDER / "checkpoints/best-average.ckpt").exists(), "that of the run as it was before"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"average_best": 1}, r"checkpoints\.average_best: expected at least 2, found 1"),
        ({"average_best": 2, "monitor": None}, r"none is best without checkpoints\.monitor"),
    ],
)
def test_settings_that_average_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Checkpoints(**settings)


@pytest.mark.parametrize(("top_k", "wanted", "kept"), [(1, 5, 5), (7, 5, 7), (-1, 5, -1), (1, None, 1)])
def test_as_many_are_kept_as_are_averaged(top_k, wanted, kept):
    assert Checkpoints(save_top_k=top_k, average_best=wanted).num_kept == kept


@pytest.mark.slow
def test_two_ranks_average_once(toy, tmp_path):
    command = [sys.executable, "-m", "lightning_modules.fit", f"--config={toy}/toy.yaml", *QUICK, *AVERAGE]
    done = subprocess.run(
        [*command, "--tracking.wandb=disabled", "--trainer.devices=2", "--trainer.strategy=ddp"],
        cwd=tmp_path,
        env=os.environ
        | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{toy}:{Path(lightning_modules.__file__).parents[1]}"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (done.stdout + done.stderr).count("the mean of best=") == 1
    assert_is_the_mean_of_the_best_two(tmp_path / FOLDER)
    (row,) = rows(tmp_path / "runs/toy/x/results.csv")
    assert Path(row["checkpoint"]).name == "best-average.ckpt"
