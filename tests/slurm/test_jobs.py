"""Jobs that nothing disturbs, and jobs that end badly."""

import contextlib
import csv

import psutil
import pytest

from lightning_modules.run.checkpoints import read_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
TWO_BY_TWO = ["--nodes=2", "--ntasks-per-node=2", "--gpus-per-node=2"]
LONG = ["--trainer.max_epochs=1000"]


def test_two_nodes_of_two_tasks_make_one_run(slurm):
    job = slurm.submit(*TWO_BY_TWO, settings=["--trainer.max_epochs=1"])
    slurm.wait(job, "COMPLETED")
    (folder,) = (slurm.folder / "ssd_aasist_inf_ini").iterdir()
    assert folder.name == f"slurm-{job}"
    assert "4 processes" in slurm.log(job)
    with (folder / "results.csv").open(newline="") as file:
        assert [row["split"] for row in csv.DictReader(file)] == ["test"]


def test_a_killed_rank_ends_the_job(slurm):
    job = slurm.submit(*TWO_BY_TWO, settings=LONG)
    slurm.wait_for_file(checkpoint_of(slurm, job), job)
    process_of(job, rank=1).kill()
    assert slurm.wait(job, "FAILED") < 60
    assert slurm.exit_code(job) == 137
    assert "task 1: Killed" in slurm.log(job)


def test_a_cancelled_job_leaves_a_checkpoint_and_stays_cancelled(slurm):
    job = slurm.submit(settings=LONG)
    slurm.wait_for_file(checkpoint_of(slurm, job), job)
    slurm.cancel(job)
    slurm.wait(job, "CANCELLED", within_s=60)
    assert "SIGTERM: stopped at step" in slurm.log(job)
    assert read_checkpoint(checkpoint_of(slurm, job))["global_step"] > 0
    assert slurm.restarts(job) == 0


@pytest.mark.parametrize(
    ("options", "settings", "words"),
    [
        (["--ntasks-per-node=2", "--gpus-per-node=2"], ["--trainer.devices=4"], "devices=4"),
        (["--gpus-per-node=2"], [], "--ntasks-per-node=2 --gpus-per-node=2"),
    ],
)
def test_tasks_that_do_not_fit_are_told_in_words(slurm, options, settings, words):
    job = slurm.submit(*options, settings=settings)
    slurm.wait(job, "FAILED", within_s=120)
    assert any(line.startswith("error: ") and words in line for line in slurm.log(job).splitlines()), (
        slurm.log(job)
    )


def checkpoint_of(slurm, job):
    return slurm.run_folder(job) / "checkpoints/last.ckpt"


def process_of(job: str, *, rank: int) -> psutil.Process:
    """The Python process of one rank."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # others end meanwhile
            variables, command = process.environ(), process.cmdline()
            is_rank = (variables.get("SLURM_JOB_ID"), variables.get("SLURM_PROCID")) == (job, str(rank))
            if is_rank and "python" in command[0] and "lightning_modules.fit" in command:
                return process
    raise AssertionError(f"job {job} has no rank {rank}")
