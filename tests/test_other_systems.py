"""What works where POSIX ends, as on Windows: tried with the names taken away, for lack of such a machine."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from import_graph import REPOSITORY, files

from datamodules.clips.search import clips_to_predict
from lightning_modules.package.folder import read_package
from lightning_modules.package.predicted import predicted
from lightning_modules.run.checkpoints import read_checkpoint

HERE = Path(__file__).parent
PACKAGE = HERE / "fixtures" / "before_the_house" / "ssd" / "package"


def run(*command: object) -> subprocess.CompletedProcess[str]:
    """Runs Python in the repository, tests and their helpers at hand."""
    paths = os.pathsep.join(map(str, (REPOSITORY, HERE, HERE / "faults")))
    return subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", *map(str, command)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_module_can_be_imported():
    names = sorted({*files(), "lightning_modules.fit"})
    program = f"""
import importlib, without_posix
without_posix.take_away()
for name in {names}:
    importlib.import_module(name)
"""
    done = run("-c", program)
    assert done.returncode == 0, done.stderr


def test_a_package_gives_the_same_scores(demo_corpus, tmp_path):
    sounds = demo_corpus / "ASVspoof2019_LA_eval" / "flac"
    script = HERE / "without_posix.py"
    done = run(
        script, "lightning_modules.predict", "--package", PACKAGE, "--output", tmp_path / "there.csv", sounds
    )
    assert done.returncode == 0, done.stderr
    here = predicted(read_package(PACKAGE), clips_to_predict([sounds]), torch.device("cpu"))
    with (tmp_path / "there.csv").open(newline="") as file:
        there = {row["key"]: float(row["score"]) for row in csv.DictReader(file)}
    assert there == {
        each.key: pytest.approx(each.score.item(), rel=1e-6) for each in here if each.score is not None
    }
    assert len(there) > 10


def test_a_step_of_training_with_a_worker(demo_corpus, tmp_path):
    done = run(
        HERE / "without_posix.py",
        "lightning_modules.fit",
        "--config=configs/ssd_aasist.yaml",
        "--config=configs/overlays/demo.yaml",
        f"--data.root={demo_corpus}",
        "--data.num_workers=1",
        "--model.network.channels=[8,8,8,8,8,8]",
        "--trainer.max_steps=1",
        "--trainer.limit_test_batches=1",
        f"--run.root={tmp_path}",
        "--run.id=x",
        "--tracking.wandb=disabled",
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "demo" / "x"
    assert read_checkpoint(folder / "checkpoints" / "last.ckpt")["global_step"] == 1
    assert "test" in (folder / "results.csv").read_text()
    assert "no locks on this file system" in done.stderr


def test_a_run_that_is_asked_to_stop_leaves_a_checkpoint(tmp_path):
    done = run(HERE / "without_posix.py", "tiny_fit", f"root={tmp_path}", "stop_at=training:7")
    assert done.returncode == 75, done.stderr
    assert read_checkpoint(tmp_path / "tiny" / "x" / "checkpoints" / "last.ckpt")["global_step"] == 7


def test_runs_of_a_grid_say_that_they_need_fork_servers(tmp_path):
    done = run(
        HERE / "without_posix.py",
        "lightning_modules.grid",
        "configs/grids/asd_figure2.yaml",
        f"--root={tmp_path}",
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("start them one by one with --index 0, --index 1, ...")
