"""What slurm/run.sh makes of exit codes, with stand-ins for SLURM's programs."""

import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
STAND_INS = {
    "srun": 'printf "[%s]" "$@" > srun; exit ${STATUS:-0}',
    "squeue": 'echo "$@" > squeue; echo ${STATE:-RUNNING}',
    "scontrol": 'echo "$@" > scontrol',
}


@pytest.fixture
def job(tmp_path):
    """Runs ``run MODULE`` with variables; returns its exit code, its words and what it asked of each program."""
    (tmp_path / "slurm").symlink_to(REPOSITORY / "slurm")
    for name, text in STAND_INS.items():
        (tmp_path / "bin" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)

    def run(*arguments: str, **variables: str) -> tuple[int, str, dict[str, str]]:
        done = subprocess.run(
            ["bash", "-c", 'set -euo pipefail; source slurm/run.sh; run module "$@"', "script", *arguments],
            cwd=tmp_path,
            env={"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "SLURM_JOB_ID": "7", **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        asked = {name: tmp_path / name for name in STAND_INS}
        return (
            done.returncode,
            done.stderr,
            {key: path.read_text().strip() for key, path in asked.items() if path.is_file()},
        )

    return run


@pytest.mark.parametrize("status", [0, 1, 137])
def test_exit_codes_are_kept(job, status):
    code, _, asked = job(STATUS=str(status))
    assert code == status
    assert "scontrol" not in asked


def test_arguments_keep_their_spaces(job):
    assert (
        job("--data.root=/a b", "*")[2]["srun"]
        == "[--kill-on-bad-exit=1][python][-m][module][--data.root=/a b][*]"
    )


def test_75_requeues(job):
    _, words, asked = job(STATUS="75", SLURM_RESTART_COUNT="4")
    assert asked["scontrol"] == "requeue 7"
    assert "restart 5 of at most 50" in words


def test_a_task_of_an_array_requeues_itself_alone(job):
    asked = job(STATUS="75", SLURM_ARRAY_JOB_ID="7", SLURM_ARRAY_TASK_ID="3")[2]
    assert asked["scontrol"] == "requeue 7_3"
    assert "--jobs=7_3" in asked["squeue"]


def test_what_is_cancelled_stays_cancelled(job):
    code, _, asked = job(STATUS="75", STATE="COMPLETING")
    assert code == 75
    assert "scontrol" not in asked


def test_the_limit_of_restarts(job):
    code, words, asked = job(STATUS="75", SLURM_RESTART_COUNT="3", MAX_REQUEUE="3")
    assert code == 75
    assert "scontrol" not in asked
    assert "MAX_REQUEUE=3" in words


def test_containers(job):
    asked = job(CONTAINER="a.sif", CONTAINER_MOUNTS="/data:/data:ro")[2]["srun"]
    assert asked.startswith("[--kill-on-bad-exit=1][apptainer][exec][--nv][--bind][")
    assert asked.endswith(",/data:/data:ro][a.sif][python][-m][module]")
    asked = job(CONTAINER="a.sqsh")[2]["srun"]
    assert asked.startswith("[--kill-on-bad-exit=1][--container-image=a.sqsh][--container-workdir=")
