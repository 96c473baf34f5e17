"""The cluster that `make test-slurm` starts, and tiny jobs on it."""

import getpass
import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
CONFIG = "configs/ssd_aasist_inf_ini.yaml"
TINY = [
    "--data.train_crop_s=0.3",
    "--data.eval_crop_s=0.3",
    "--data.batch_size=2",
    "--data.num_workers=0",
    "--model.inter_instance.bank_size=32",
    "--trainer.accelerator=cpu",
    "--trainer.limit_val_batches=1",
    "--trainer.limit_test_batches=2",
    "--trainer.log_every_n_steps=1",
    "--checkpoints.every_n_train_steps=1",
    "--tracking.wandb=disabled",
    "--seed_everything=3",
]


@dataclass(kw_only=True)
class Slurm:
    """Submits jobs and watches them.

    Attributes:
        folder: Where runs and logs go.
        data: The demo corpus.
    """

    folder: Path
    data: Path

    @property
    def settings(self) -> list[str]:
        """Overrides that make a run of any number of epochs tiny."""
        return [*TINY, f"--data.root={self.data}"]

    def submit(self, *options: str, settings: list[str]) -> str:
        """Submits ``slurm/fit.sbatch`` with tiny settings and these, and returns the job's id."""
        script = ["slurm/fit.sbatch", CONFIG, *self.settings, f"--run.root={self.folder}", *settings]
        return self.sbatch(f"--output={self.folder}/%j.txt", *options, *script)

    def sbatch(self, *arguments: str) -> str:
        """Returns the new job's id."""
        return run("sbatch", "--parsable", *arguments).strip()

    def cancel(self, *arguments: str) -> None:
        """Runs ``scancel``."""
        run("scancel", *arguments)

    def run_folder(self, job: str) -> Path:
        """Where the job's run writes."""
        return self.folder / "ssd_aasist_inf_ini" / f"slurm-{job}"

    def log(self, job: str) -> str:
        """What the job has written so far."""
        path = self.folder / f"{job}.txt"
        return path.read_text() if path.is_file() else ""

    def state(self, job: str) -> str:
        """RUNNING, COMPLETED, CANCELLED, ..."""
        return self._of(job, "JobState")

    def restarts(self, job: str) -> int:
        """How often it was put back into the queue."""
        return int(self._of(job, "Restarts"))

    def exit_code(self, job: str) -> int:
        """Of its script."""
        return int(self._of(job, "ExitCode").partition(":")[0])

    def _of(self, job: str, key: str) -> str:
        shown = run("scontrol", "show", "job", job)
        match = re.search(rf"\b{key}=(\S+)", shown)
        assert match, shown
        return match.group(1)

    def wait(self, job: str, *states: str, within_s: float = 600) -> float:
        """Waits until the job is in one of the states, and returns how many seconds that took."""
        return self.wait_until(lambda: self.state(job) in states, job, within_s=within_s)

    def wait_for_file(self, path: Path, job: str) -> float:
        """Waits until the job has written a file."""
        return self.wait_until(path.is_file, job)

    def wait_until(self, condition: Callable[[], bool], job: str, *, within_s: float = 600) -> float:
        """Waits until a condition holds, and returns how many seconds that took."""
        begin = time.monotonic()
        while not condition():
            waited = time.monotonic() - begin
            assert waited < within_s, f"job {job} is {self.state(job)} after {waited:.0f} s\n{self.log(job)}"
            time.sleep(0.3)
        return time.monotonic() - begin


def run(*command: str) -> str:
    """Runs a command to its success and returns what it printed."""
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def cluster():
    """Skips before anything is made where there is no cluster."""
    if "SLURM_TEST_CLUSTER" not in os.environ:
        pytest.skip("no SLURM test cluster: make test-slurm starts one")


@pytest.fixture
def slurm(cluster, demo_corpus, tmp_path, monkeypatch):
    """A cluster without jobs; those that the test leaves are cancelled."""
    # the two nodes are this machine, and their names are nowhere known
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield Slurm(folder=tmp_path, data=demo_corpus)
    run("scancel", "--user", getpass.getuser())
    while run("squeue", "--noheader"):
        time.sleep(0.3)
