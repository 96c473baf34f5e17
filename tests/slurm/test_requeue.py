"""Jobs that have to make room go back into the queue and end as if nothing had happened."""

import shlex

import pytest
import torch
import yaml

from lightning_modules import grid
from lightning_modules.run.checkpoints import read_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
EPOCHS = ["--trainer.max_epochs=6", "--trainer.check_val_every_n_epoch=6"]


def test_a_preempted_job_ends_with_the_weights_of_an_undisturbed_one(slurm, metrics_rows):
    two_nodes = ["--nodes=2", "--ntasks-per-node=1"]
    undisturbed = slurm.submit(*two_nodes, settings=EPOCHS)
    slurm.wait(undisturbed, "COMPLETED")
    preempted = slurm.submit(*two_nodes, settings=EPOCHS)
    slurm.wait_for_file(slurm.run_folder(preempted) / "checkpoints/last.ckpt", preempted)
    high = slurm.sbatch(
        "--partition=high", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 3"
    )
    slurm.wait(high, "COMPLETED")
    slurm.wait(preempted, "COMPLETED")

    assert slurm.restarts(preempted) == 1
    log = slurm.log(preempted)
    left, continued = (
        log.partition(words)[2].split()[0].rstrip(";,") for words in ("stopped at step", "continues at step")
    )
    assert left == continued
    ours, theirs = (
        read_checkpoint(slurm.run_folder(job) / "checkpoints/last.ckpt") for job in (undisturbed, preempted)
    )
    assert ours["global_step"] == theirs["global_step"]
    torch.testing.assert_close(ours["state_dict"], theirs["state_dict"], rtol=0, atol=0)
    for our, their in zip(ours["optimizer_states"], theirs["optimizer_states"], strict=True):
        torch.testing.assert_close(our["state"], their["state"], rtol=0, atol=0)
    ours, theirs = (metrics_rows(slurm.run_folder(job) / "metrics.csv") for job in (undisturbed, preempted))
    assert ours == theirs


def test_the_limit_of_restarts_ends_a_job(slurm, monkeypatch):
    monkeypatch.setenv("MAX_REQUEUE", "1")
    job = slurm.submit(settings=["--trainer.max_epochs=1000"])
    slurm.wait_for_file(slurm.run_folder(job) / "checkpoints/last.ckpt", job)
    slurm.cancel("--signal=USR1", job)
    slurm.wait_until(lambda: "continues at step" in slurm.log(job), job)
    assert slurm.restarts(job) == 1
    slurm.cancel("--signal=USR1", job)
    slurm.wait(job, "FAILED", within_s=60)
    assert slurm.exit_code(job) == 75
    assert f"MAX_REQUEUE=1; saved, continue it with --run.id=slurm-{job}" in slurm.log(job)


def test_a_job_array_runs_a_grid_and_requeues_one_task_alone(slurm, tmp_path, capsys):
    block = {
        "name": "AASIST",
        "config": ["configs/ssd_aasist_inf_ini.yaml"],
        "axes": {"trainer.max_epochs": [1, 3]},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({"experiment": "tiny", "blocks": [block]}))
    listed = [str(path), "--root", str(tmp_path)]
    assert grid.main([*listed, "--sbatch", "--", *slurm.settings]) == 0
    array = slurm.sbatch(*shlex.split(capsys.readouterr().out)[1:])

    second = f"{array}_1"
    slurm.wait_for_file(tmp_path / "tiny/AASIST-max_epochs_3/checkpoints/last.ckpt", second)
    slurm.cancel("--signal=USR1", second)
    for task in (f"{array}_0", second):
        slurm.wait(task, "COMPLETED")
    assert (slurm.restarts(f"{array}_0"), slurm.restarts(second)) == (0, 1)
    assert "continues at step" in (tmp_path / "tiny/tiny-1.txt").read_text()
    assert grid.main([*listed, "--list"]) == 0
    assert "2 finished" in capsys.readouterr().out
