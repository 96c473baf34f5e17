"""Processes that are hurt, and what is left of them on disk."""

import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
import torch
from contributing_page import NETWORK, files
from restarts import assert_same_run
from stopping import UNDISTURBED, warm

collect_ignore_glob = ["toy_*.py"]  # run within TOY's folder, by toy.sh
REPOSITORY = Path(__file__).parents[2]
TIMEOUT_S = 240  # for tests that share a busy machine; what an outcome may take is asserted apart


@pytest.fixture(scope="session")
def runs():
    """What runs commands in a folder, see `stopping`."""
    with warm() as found:
        yield found


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The page's files and their corpus."""
    folder = tmp_path_factory.mktemp("example")
    for name, text in files(NETWORK).items():
        (folder / name).write_text(text)
    run_path(str(folder / "folders.py"))["write_demo"](folder / "demo")
    return folder


@pytest.fixture(scope="module")
def start(example, runs):
    """Runs the command with arguments once for each root and place to stop at."""
    return partial(runs, example)


@pytest.fixture
def stop_and_compare(start, metrics_rows, tmp_path):
    """Stops runs at places and starts them again; returns the root of the undisturbed one that they equal."""

    def compare(arguments, places):
        whole = tmp_path / "whole"
        stopped = {place: tmp_path / place for place in places}
        restarts = [[(root, place), (root, UNDISTURBED)] for place, root in stopped.items()]
        (code, output), *ended = start(arguments, (whole, UNDISTURBED), *itertools.chain(*restarts))
        assert code == 0, output
        for (place, root), (first, second) in zip(
            stopped.items(), zip(ended[::2], ended[1::2], strict=True), strict=True
        ):
            assert first.code == (-9 if place.startswith("SIGKILL") else 75), first.output
            assert second.code == 0, second.output
            assert "continues at step" in second.output
            assert_same_run(whole, root, metrics_rows, place)
        return whole

    return compare


class TinyRun:
    """Runs of `tiny_fit` in one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.checkpoints = root / "tiny" / "x" / "checkpoints"
        self.last = self.checkpoints / "last.ckpt"

    def start(
        self,
        environment: dict[str, str] | None = None,
        command: Sequence[str] = (sys.executable,),
        **settings: Any,
    ) -> subprocess.Popen[str]:
        """Starts one in the background."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
        return subprocess.Popen(
            [*command, Path(__file__).with_name("tiny_fit.py"), f"root={self.root}"]
            + [f"{key}={value}" for key, value in settings.items()],
            env=clean | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)} | (environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start_ranks(self, **settings: Any) -> list[subprocess.Popen[str]]:
        """Starts two ranks as srun does: each by itself."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "NODE_RANK": "0"}
        return [self.start(common | {"LOCAL_RANK": str(rank)}, devices=2, **settings) for rank in range(2)]

    def finish(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """Waits for the end; returns the exit code and what was printed."""
        try:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
        return process.returncode, output

    def run(self, **settings: Any) -> tuple[int, str]:
        """Starts one and waits for its end."""
        return self.finish(self.start(**settings))


@pytest.fixture
def tiny(tmp_path):
    return TinyRun(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The last checkpoint of a run that nobody stops."""
    run = TinyRun(tmp_path_factory.mktemp("undisturbed"))
    code, output = run.run()
    assert code == 0, output
    return torch.load(run.last, weights_only=True)
