"""What srun and torchrun started is checked in words, before torch is imported."""

import subprocess
import sys

import pytest

from lightning_modules.processes.started import Processes, devices_and_nodes, processes


@pytest.fixture
def slurm(monkeypatch):
    """Sets the variables of a step; names without SLURM_."""
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_JOB_NAME", "SLURM_NTASKS_PER_NODE", "SLURM_STEP_ID"):
        monkeypatch.delenv(name, raising=False)

    def set_variables(**variables):
        for name, value in ({"STEP_ID": "0"} | variables).items():
            monkeypatch.setenv(f"SLURM_{name}", value) if value else monkeypatch.delenv(
                f"SLURM_{name}", False
            )

    return set_variables


def test_devices_follow_the_tasks(slurm):
    slurm(NTASKS="8", NTASKS_PER_NODE="4", NNODES="2")
    assert processes() == Processes("srun", nodes=2, per_node=4)
    assert devices_and_nodes("auto", 1) == (4, 2)
    assert devices_and_nodes(4, 2) == (4, 2)
    assert devices_and_nodes([0, 1, 2, 3], 2) == ([0, 1, 2, 3], 2)
    with pytest.raises(
        ValueError, match=r"trainer\.devices=2 .* srun started 4 processes on each of 2 nodes"
    ):
        devices_and_nodes(2, 2)


def test_devices_follow_torchrun_also_within_slurm(slurm, monkeypatch):
    slurm(NTASKS="2", NNODES="2")
    for name, value in (("TORCHELASTIC_RUN_ID", "1"), ("LOCAL_WORLD_SIZE", "4"), ("WORLD_SIZE", "8")):
        monkeypatch.setenv(name, value)
    assert devices_and_nodes("auto", 1) == (4, 2)
    with pytest.raises(ValueError, match="torchrun started 4"):
        devices_and_nodes(1, 1)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"NTASKS": "4", "NNODES": "2"}, "--ntasks=4.*--nodes=2 --ntasks-per-node=2"),
        ({"NTASKS": "3", "NTASKS_PER_NODE": "2", "NNODES": "2"}, "3 tasks on 2 nodes.*leave --ntasks out"),
        ({"NTASKS": "4", "NTASKS_PER_NODE": "2", "NNODES": "2", "STEP_ID": ""}, "without srun"),
    ],
)
def test_wrong_jobs_are_told_in_words(slurm, variables, message):
    slurm(**variables)
    with pytest.raises(ValueError, match=message):
        processes()


def test_shells_and_plain_processes_are_left_alone(slurm, monkeypatch):
    slurm(NTASKS="4", NNODES="2", JOB_NAME="interactive", STEP_ID="")
    assert processes() is None
    assert devices_and_nodes("auto", 1) == ("auto", 1)


def test_several_nodes_need_a_launcher(slurm, monkeypatch):
    slurm(NTASKS="4", NNODES="2", JOB_NAME="interactive", STEP_ID="")
    with pytest.raises(ValueError, match=r"num_nodes=2, but nothing started .* use srun"):
        devices_and_nodes(4, 2)
    monkeypatch.setenv("MASTER_ADDR", "node0")
    assert devices_and_nodes(4, 2) == (4, 2)


def test_wrong_job_ends_before_torch_is_imported(slurm):
    slurm(NTASKS="4", NNODES="2")
    command = "import sys; from lightning_modules.commands.launch import launch\n"
    command += "try: launch(None)\nfinally: print('torch' in sys.modules)"
    process = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, timeout=60)
    assert process.returncode == 2
    assert process.stderr.startswith("error: SLURM started 4 tasks by --ntasks=4")
    assert process.stdout == "False\n"
