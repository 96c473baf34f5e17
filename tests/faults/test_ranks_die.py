"""A rank that dies, fails, hangs or differs ends all ranks within a minute, with the cause."""

import os
import signal
import time
from pathlib import Path

import pytest

WITHIN_S = 60


def processes_of(root: Path) -> list[int]:
    """The processes whose command line names ``root``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(f"root={root}") in line:
            found.append(int(folder.name))
    return found


@pytest.mark.parametrize(
    ("fault", "rank", "code", "message"),
    [
        ("killed", 1, 1, "error: rank 1 was killed by SIGKILL"),
        pytest.param("exits", 1, 1, "error: rank 1 ended with exit code 0", marks=pytest.mark.slow),
        pytest.param("raises", 1, 1, "error: a fault of this rank alone", marks=pytest.mark.slow),
        pytest.param("hangs", 1, 1, "error: another rank hangs", marks=pytest.mark.slow),
        pytest.param("stopped", 1, 1, "error: another rank hangs", marks=pytest.mark.slow),
        pytest.param("raises", 0, 1, "error: a fault of this rank alone", marks=pytest.mark.slow),
        pytest.param("killed", 0, -signal.SIGKILL, "error: another rank ended", marks=pytest.mark.slow),
        pytest.param("hangs", 0, 1, "error: another rank hangs", marks=pytest.mark.slow),
    ],
)
def test_a_lost_rank_ends_all(tiny, fault, rank, code, message):
    process = tiny.start(devices=2, fault=fault, rank=rank, timeout_s=10)
    while not tiny.last.is_file():
        assert process.poll() is None
        time.sleep(0.02)
    begin = time.monotonic()
    ended, output = tiny.finish(process)
    assert ended == code, output
    assert message in output
    while processes_of(tiny.root) and time.monotonic() - begin < WITHIN_S:
        time.sleep(0.1)
    assert not processes_of(tiny.root)
    assert time.monotonic() - begin < WITHIN_S


def test_ranks_of_different_configurations_do_not_train(tiny):
    code, output = tiny.run(devices=2, config0="seed_everything: 1\n", config1="seed_everything: 2\n")
    assert code == 1
    assert (
        "error: rank 1 runs another configuration than rank 0: -seed_everything: 1; +seed_everything: 2"
        in output
    )
    assert not tiny.last.exists()
