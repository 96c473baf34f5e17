"""A damaged checkpoint is passed over, saying so, and a killed writer damages none."""

import itertools
import multiprocessing
import random
import time

import pytest
import torch

from datamodules.files import remove_leftovers
from lightning_modules.run.checkpoints import AtomicCheckpointIO, first_readable, read_checkpoint
from lightning_modules.run.folder import Run


def write_forever(target):
    weights = torch.arange(500_000.0)
    for step in itertools.count(1):
        AtomicCheckpointIO().save_checkpoint(
            {"step": step, "weights": weights + step}, target, {"previous": target.with_name("last-1.ckpt")}
        )


@pytest.fixture
def run(tmp_path):
    """A run with the checkpoints of steps 1, 2 and 3 as best, last but one and last."""
    run = Run(id="x", root=str(tmp_path))
    writer = AtomicCheckpointIO()
    writer.save_checkpoint({"step": 1}, run.checkpoints / "best=0.100000-epoch=0000.ckpt")
    for step in (2, 3):
        writer.save_checkpoint({"step": step}, run.last_checkpoint, {"previous": run.previous_checkpoint})
    return run


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, empty])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_newest_whole_checkpoint_is_found(run, damage, count):
    for path in run.restarts[:count]:
        damage(path)
    if count:
        with pytest.warns(UserWarning, match=r"last\.ckpt: .*; continues from .* instead"):
            found = first_readable(run.restarts)
    else:
        found = first_readable(run.restarts)
    assert found is not None
    assert found[1]["step"] == 3 - count


def test_a_run_without_a_whole_checkpoint_does_not_start_anew(run):
    for path in run.restarts:
        empty(path)
    with pytest.raises(ValueError, match=r"last\.ckpt.*last-1\.ckpt.*best=.*move the run's folder away"):
        first_readable(run.restarts)


def test_a_run_without_checkpoints_starts(tmp_path):
    assert first_readable(Run(id="x", root=str(tmp_path)).restarts) is None


def test_a_file_system_without_links_keeps_the_previous_too(run, monkeypatch):
    monkeypatch.setattr("os.link", lambda *_: (_ for _ in ()).throw(PermissionError("no links here")))
    AtomicCheckpointIO().save_checkpoint(
        {"step": 4}, run.last_checkpoint, {"previous": run.previous_checkpoint}
    )
    assert [read_checkpoint(path)["step"] for path in run.restarts[:2]] == [4, 3]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifty_kills_while_writing(tmp_path):
    target, draw = tmp_path / "last.ckpt", random.Random(0)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lightning_modules.run.checkpoints"])
    littered, newest = 0, 0
    for _ in range(50):
        process = context.Process(target=write_forever, args=(target,))
        process.start()
        while not list(tmp_path.glob(".*.tmp")):  # it has begun
            assert process.is_alive()
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 0.5))
        process.kill()
        process.join()
        littered += bool(list(tmp_path.glob(".*.tmp")))
        remove_leftovers(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} <= {"last.ckpt", "last-1.ckpt"}
        for path in tmp_path.iterdir():
            checkpoint = read_checkpoint(path)
            assert torch.equal(checkpoint["weights"], torch.arange(500_000.0) + checkpoint["step"])
            newest = max(newest, checkpoint["step"])
    assert newest > 0
    assert littered > 10, "the kills missed the writing"
