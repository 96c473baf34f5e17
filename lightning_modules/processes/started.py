"""By whom this process was started, and as one of how many."""

import os
from dataclasses import dataclass

_LAUNCHED = {"MASTER_ADDR", "LSB_JOBID", "OMPI_COMM_WORLD_SIZE"}  # by hand, LSF, MPI: Lightning's concern


@dataclass(frozen=True)
class Processes:
    """What srun or torchrun started: one process a device.

    Attributes:
        launcher: Its name.
        nodes: Machines.
        per_node: Processes on each.
    """

    launcher: str
    nodes: int
    per_node: int


def processes() -> Processes | None:
    """Returns what started this process as one of several, None where nothing did.

    Raises:
        ValueError: The SLURM job or step is not of so many tasks on every node, or lacks ``srun``.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:  # torchrun, perhaps within a SLURM job
        per_node = int(os.environ["LOCAL_WORLD_SIZE"])
        return Processes("torchrun", int(os.environ["WORLD_SIZE"]) // per_node, per_node)
    if "SLURM_NTASKS" not in os.environ or os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return None  # by these names SLURM and Lightning know a shell for trying things out
    tasks, nodes = int(os.environ["SLURM_NTASKS"]), int(os.environ.get("SLURM_NNODES", "1"))
    if "SLURM_STEP_ID" not in os.environ and tasks > 1:
        raise ValueError(
            f"the SLURM job has {tasks} tasks, but this process was started without srun and would wait for the"
            " others forever: srun python -m lightning_modules.fit ..."
        )
    per_node = os.environ.get("SLURM_NTASKS_PER_NODE")
    if per_node is None and tasks > 1:
        raise ValueError(
            f"SLURM started {tasks} tasks by --ntasks={tasks}, which does not say how many a node: use"
            f" --nodes={nodes} --ntasks-per-node={max(tasks // nodes, 1)}, one task a GPU"
        )
    if tasks != nodes * int(per_node or 1):
        raise ValueError(
            f"SLURM started {tasks} tasks on {nodes} nodes, but --ntasks-per-node={per_node} asks for"
            f" {nodes * int(per_node or 1)}: leave --ntasks out, it follows from --nodes and --ntasks-per-node"
        )
    return Processes("srun", nodes, tasks // nodes)


def devices_and_nodes(devices: list[int] | str | int, num_nodes: int) -> tuple[list[int] | str | int, int]:
    """Returns the devices of a node and the nodes to train on: as configured, or as many as there are processes.

    Args:
        devices: ``trainer.devices``; "auto" takes one for every process of the node.
        num_nodes: ``trainer.num_nodes``; 1 with "auto" takes the nodes of the job.

    Raises:
        ValueError: The configuration asks for other numbers than srun or torchrun started.
    """
    started = processes()
    if started is None:
        if num_nodes > 1 and not _LAUNCHED.intersection(os.environ):
            raise ValueError(
                f"trainer.num_nodes={num_nodes}, but nothing started this process on so many nodes: use srun"
                " (slurm/README.md) or torchrun, or set MASTER_ADDR, MASTER_PORT and NODE_RANK on each"
            )
        return devices, num_nodes
    if devices == "auto" and num_nodes in (1, started.nodes):
        return started.per_node, started.nodes
    count = len(devices) if isinstance(devices, list) else devices
    if (str(count), num_nodes) != (str(started.per_node), started.nodes):
        raise ValueError(
            f"trainer.devices={devices} and trainer.num_nodes={num_nodes}, but {started.launcher} started"
            f" {started.per_node} processes on each of {started.nodes} nodes: leave both keys out, or set"
            f" trainer.devices={started.per_node} and trainer.num_nodes={started.nodes}"
        )
    return devices, num_nodes
