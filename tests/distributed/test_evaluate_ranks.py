"""`evaluate` on several processes: the same trials, rows and matrix as on one."""

import os
import subprocess
import sys

import pytest
from command import REPOSITORY, run

from datamodules.ssd.corpora import CORPORA

SMALL = [
    "--config=configs/ssd_corpora.yaml",
    "--data.batch_size=4",
    "--trainer.max_epochs=1",
    "--trainer.limit_train_batches=1",
    "--trainer.limit_test_batches=1.0",
]
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--data.num_workers=0"]


@pytest.mark.slow
def test_two_ranks_give_the_same_bits(tmp_path):
    for seed, name in enumerate(("asvspoof_2019_la", "asvspoof_5", "in_the_wild")):
        (tmp_path / name).mkdir()
        CORPORA[name].write_demo(tmp_path / name, seed)
    places = {name: str(tmp_path / name) for name in ("asvspoof_2019_la", "asvspoof_5")}
    of_run = [f"--run.root={tmp_path}/runs", "--run.id=x", "--tracking.wandb=disabled"]
    run("fit", *SMALL, f"--data.corpora={places}", "--data.eval_batch_size=3", *of_run, *QUIET)
    words = [f"--ckpt_path={tmp_path}/runs/ssd_corpora/x", "--on", *places]
    words += [f"in_the_wild={tmp_path}/in_the_wild", *QUIET]
    one = run("evaluate", *words, f"--output={tmp_path}/one")
    two = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "torch.distributed.run",
                "--nproc_per_node=2",
                "-m",
                "lightning_modules.evaluate",
            ),
            *(*words, f"--output={tmp_path}/two", "--trainer.devices=2", "--trainer.strategy=ddp"),
        ],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert two.returncode == 0, two.stderr[-3000:]
    found = [sorted((tmp_path / name).rglob("*_trials.csv")) for name in ("one", "two")]
    assert len(found[0]) == 3
    for alone, together in zip(*found, strict=True):
        assert alone.read_bytes() == together.read_bytes()
    (row,) = [line for line in one.splitlines() if line.startswith("| asvspoof_2019_la+asvspoof_5")]
    assert [line for line in two.stdout.splitlines() if line == row] == [row]  # printed once
