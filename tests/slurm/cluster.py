"""A SLURM cluster of two nodes on this machine, for the time of one command.

    apt-get install slurm-wlm munge
    python tests/slurm/cluster.py bash              # a shell with sbatch, squeue, ... of that cluster
    python tests/slurm/cluster.py python -m pytest tests/slurm

Nodes node1 and node2 have 16 CPUs and 2 GPUs each, none of them real. Jobs of partition `high` preempt those of `low`,
the default, which get SIGTERM and 30 s. Ports, keys and logs are its own; it needs neither root nor other machines.
"""

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sinfo", "sbatch")
READY_S = 60.0

_FILES = {
    "slurm.conf": """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
# a requeued job waits until its old credential has expired, by default 2 minutes
AuthInfo=socket={folder}/munge.socket,cred_expire=10
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdSpoolDir={folder}/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=30
MinJobAge=600
ReturnToService=2
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=node1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=16 RealMemory=4000 Gres=gpu:2
NodeName=node2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=16 RealMemory=4000 Gres=gpu:2
PartitionName=low Nodes=node[1-2] Default=YES PriorityTier=1 GraceTime=30
PartitionName=high Nodes=node[1-2] PriorityTier=10
""",
    "gres.conf": "NodeName=node[1-2] Name=gpu File={folder}/gpu[0-1]\n",
    # v1 loads without systemd and does nothing unless asked
    "cgroup.conf": "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n",
}


@contextlib.contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """Starts the daemons and stops them; gives the variables that lead SLURM's commands to them.

    Raises:
        FileNotFoundError: SLURM or munge is not installed.
        RuntimeError: A daemon ends, or the nodes are not idle within 60 s.
    """
    paths = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
    if absent := [program for program in PROGRAMS if shutil.which(program, path=paths) is None]:
        raise FileNotFoundError(f"{', '.join(absent)} not found: apt-get install slurm-wlm munge")
    with tempfile.TemporaryDirectory(prefix="slurm-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        _write_files(folder)
        variables = {"SLURM_CONF": f"{folder}/slurm.conf", "SLURM_TEST_CLUSTER": name}
        plain = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH"))}
        environment = plain | variables | {"PATH": paths}
        daemons = [
            stack.enter_context(_daemon(folder, command, environment)) for command in _commands(folder)
        ]
        _wait_until_idle(daemons, environment)
        try:
            yield variables
        finally:
            _end_jobs(environment)


def _write_files(folder: Path) -> None:
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    folder.chmod(0o755)  # munged refuses a socket that others cannot reach
    for name in ("state", "node1", "node2"):
        (folder / name).mkdir()
    for name in ("gpu0", "gpu1"):
        (folder / name).touch()
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in sockets]
    host = socket.gethostname().partition(".")[0]
    for name, text in _FILES.items():
        (folder / name).write_text(text.format(folder=folder, host=host, ports=ports, user=getpass.getuser()))


def _commands(folder: Path) -> list[list[str]]:
    own = {"socket": "socket", "key-file": "key", "pid-file": "pid", "seed-file": "seed", "log-file": "log"}
    munged = ["munged", "--foreground", *(f"--{key}={folder}/munge.{end}" for key, end in own.items())]
    return [munged, ["slurmctld", "-D", "-c"], *(["slurmd", "-D", "-N", node] for node in ("node1", "node2"))]


@contextlib.contextmanager
def _daemon(
    folder: Path, command: Sequence[str], environment: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen, Path]]:
    log = folder / f"{command[0]}{command[-1] if command[0] == 'slurmd' else ''}.log"
    with log.open("w") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        yield process, log
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_idle(
    daemons: Sequence[tuple[subprocess.Popen, Path]], environment: Mapping[str, str]
) -> None:
    deadline = time.monotonic() + READY_S
    command = ["sinfo", "--noheader", "--Node", "--partition=low", "--format=%T"]
    while True:
        shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if shown.stdout.split() == ["idle", "idle"]:
            return
        for process, log in daemons:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the cluster does not start: {shown.stderr}\n{log}:\n{log.read_text()}")
        time.sleep(0.5)


def _end_jobs(environment: Mapping[str, str]) -> None:
    """Jobs outlive their daemons."""
    subprocess.run(["scancel", "--user", getpass.getuser()], env=environment, check=False)
    deadline = time.monotonic() + READY_S
    squeue = ["squeue", "--noheader"]
    while subprocess.run(squeue, env=environment, capture_output=True, check=False).stdout:
        if time.monotonic() > deadline:
            sys.stderr.write("jobs of the test cluster do not end\n")
            return
        time.sleep(0.5)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # such that the cluster stops
    with cluster() as found:
        sys.exit(subprocess.run(sys.argv[1:], env=os.environ | found, check=False).returncode)
