"""A run stopped at any batch and resumed sees exactly the batches of the uninterrupted run."""

import itertools
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from datamodules.base import ClipDataModule
from datamodules.clips import Batch, Clip
from datamodules.loading.loader import Loader, ResumableLoader, default_workers, worker_settings
from datamodules.loading.samplers import TrainBatchSampler
from lightning_modules.config.cli import one_line_errors

REPOSITORY = Path(__file__).parents[3]
CLIPS, BATCH_SIZE, BATCHES, EPOCHS = 22, 4, 5, 3
STEPS = BATCHES * EPOCHS


class Noises(ClipDataModule):
    """A folder of numbered noises."""

    classes = ("a", "b")

    def split(self, name):
        return [
            Clip(str(i), str(self.root / f"{i}.wav"), i % 2) for i in range(CLIPS if name == "train" else 6)
        ]

    def write_scores(self, path, keys, scores, decisions=None):
        raise AssertionError("training writes no scores")


class Recorder(LightningModule):
    """Remembers every training batch, crops included."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen: list[tuple[tuple[str, ...], float]] = []

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        self.seen.append((tuple(batch.key), batch.waveform.double().sum().item()))
        return self.layer(batch.waveform.mean(dim=(1, 2))[:, None]).square().mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        assert batch.key

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class SaveEverywhere(Callback):
    """Checkpoints at every moment at which Lightning's own callbacks save."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _save(self, trainer: Trainer, moment: str) -> None:
        if not trainer.sanity_checking:
            trainer.save_checkpoint(self.folder / f"{trainer.global_step:02d}_{moment}.ckpt")

    def on_train_batch_end(self, trainer, *arguments) -> None:
        self._save(trainer, "batch")

    def on_validation_end(self, trainer, *arguments) -> None:
        self._save(trainer, "validation")

    def on_train_epoch_end(self, trainer, *arguments) -> None:
        self._save(trainer, "epoch")


@pytest.fixture(scope="module")
def noises(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("noises")
    for i in range(CLIPS):
        soundfile.write(folder / f"{i}.wav", np.random.default_rng(i).uniform(-0.5, 0.5, 400 + 10 * i), 16000)
    return folder


def _run(folder: Path, *, num_workers: int = 0, resume: Path | None = None, callbacks=(), **settings) -> list:
    data = Noises(
        root=str(folder), train_crop_s=0.02, eval_crop_s=0.02, batch_size=BATCH_SIZE, num_workers=num_workers
    )
    settings = {"max_epochs": EPOCHS, "val_check_interval": 2, **settings}
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        **settings,
    )
    module = Recorder()
    trainer.fit(module, data, ckpt_path=resume)
    return module.seen


@pytest.fixture(scope="module")
def whole_run(noises, tmp_path_factory) -> tuple[list, list[Path]]:
    """Batches of the uninterrupted run, and its checkpoints."""
    folder = tmp_path_factory.mktemp("checkpoints")
    seen = _run(noises, callbacks=[SaveEverywhere(folder)])
    return seen, sorted(folder.iterdir())


def test_the_whole_run_never_repeats_itself(whole_run) -> None:
    seen, checkpoints = whole_run
    assert len(seen) == len(set(seen)) == STEPS
    # each batch, validation after batches 2 and 4 of each epoch, each end of an epoch
    assert len(checkpoints) == STEPS + 2 * EPOCHS + EPOCHS
    for epoch in range(EPOCHS):
        keys = [key for batch, _ in seen[epoch * BATCHES : (epoch + 1) * BATCHES] for key in batch]
        assert len(set(keys)) == BATCHES * BATCH_SIZE


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name[:2])


def test_resumption_at_any_checkpoint_continues_exactly(noises, whole_run) -> None:
    seen, checkpoints = whole_run
    for checkpoint in checkpoints:
        assert _run(noises, resume=checkpoint) == seen[_step(checkpoint) :], checkpoint.name


def test_resumption_with_workers(noises, whole_run) -> None:
    seen, checkpoints = whole_run
    for name in ("03_batch", "04_validation", "05_epoch", "10_batch"):
        (checkpoint,) = [path for path in checkpoints if path.stem == name]
        assert _run(noises, resume=checkpoint, num_workers=2) == seen[_step(checkpoint) :], name


@pytest.mark.parametrize("stop", [3, 5, 7])
def test_a_run_that_ended_by_its_steps_can_be_extended(stop, noises, tmp_path, whole_run) -> None:
    class SaveLast(Callback):
        def on_train_end(self, trainer, module) -> None:
            trainer.save_checkpoint(tmp_path / "last.ckpt")

    first = _run(noises, callbacks=[SaveLast()], max_epochs=-1, max_steps=stop)
    rest = _run(noises, resume=tmp_path / "last.ckpt", max_epochs=-1, max_steps=STEPS)
    assert first + rest == whole_run[0]


def test_resumption_of_shortened_epochs(noises, tmp_path) -> None:
    settings = {"limit_train_batches": 3, "limit_val_batches": 0, "val_check_interval": 1.0}
    seen = _run(noises, callbacks=[SaveEverywhere(tmp_path)], **settings)
    for checkpoint in sorted(tmp_path.iterdir()):
        assert _run(noises, resume=checkpoint, **settings) == seen[_step(checkpoint) :], checkpoint.name


def test_overfitting_repeats_its_batches(noises) -> None:
    seen = _run(noises, overfit_batches=2, val_check_interval=1.0)
    assert seen[:2] * EPOCHS == seen


def test_reloading_each_epoch_does_not_repeat_the_first(noises, whole_run) -> None:
    assert _run(noises, reload_dataloaders_every_n_epochs=1) == whole_run[0]


class _Numbers(torch.utils.data.Dataset):
    def __getitem__(self, item: tuple[int, int]) -> tuple[int, int]:
        return item


def _loader(**settings) -> ResumableLoader:
    sampler = TrainBatchSampler(10, batch_size=3)
    return ResumableLoader(_Numbers(), batch_sampler=sampler, collate_fn=list, **settings)


@pytest.mark.parametrize("stop", range(7))
def test_loader_alone_resumes_after_any_batch(stop: int) -> None:
    loader = _loader()
    whole = [batch for _ in range(3) for batch in loader]
    loader = _loader()
    part = list(itertools.islice(itertools.chain.from_iterable(loader for _ in range(3)), stop))
    resumed = _loader()
    resumed.load_state_dict(loader.state_dict())
    while len(part) < len(whole):
        part += list(resumed)
    assert part == whole


def test_an_iterator_that_is_never_used_changes_nothing() -> None:
    loader = _loader()
    iter(loader)
    iter(loader)
    assert list(loader) == list(_loader())
    assert loader.state_dict() == {"epoch": 0, "position": 3}


def test_loading_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    list(_loader(**worker_settings(0)))
    assert torch.equal(before, torch.get_rng_state())


class _Draws(torch.utils.data.Dataset):
    """What a data set finds in the three global generators."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, item: int) -> tuple[float, float, float]:
        return torch.rand(()).item(), np.random.rand(), random.random()  # noqa: NPY002 (a user may draw so)


def test_random_numbers_of_workers_follow_the_seed() -> None:
    def draws(seed: int) -> list:
        loader = torch.utils.data.DataLoader(_Draws(), collate_fn=list, **worker_settings(2, seed=seed))
        return [draw for batch in loader for draw in batch]

    assert draws(1) == draws(1)
    assert len({number for seed in (1, 2) for draw in draws(seed) for number in draw}) == 2 * 3 * 3


TRAINER = """
import sys, time, torch
from torch.utils.data import DataLoader, TensorDataset
from datamodules.loading.loader import worker_settings
batches = iter(DataLoader(TensorDataset(torch.arange(64)), **worker_settings(2)))
next(batches)
print(*[worker.pid for worker in batches._workers], flush=True)
time.sleep(600)
"""


def test_workers_end_with_a_killed_trainer() -> None:
    trainer = subprocess.Popen(
        [sys.executable, "-c", TRAINER], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert trainer.stdout is not None
    workers = [Path("/proc", pid) for pid in trainer.stdout.readline().split()]
    assert [worker.exists() for worker in workers] == [True, True]
    trainer.kill()
    deadline = time.monotonic() + 60
    while any(worker.exists() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [worker.exists() for worker in workers] == [False, False]


@pytest.mark.parametrize(
    ("cpus", "slurm", "ranks", "expected"),
    [(2, None, 1, 1), (1, None, 1, 0), (64, None, 1, 8), (16, None, 4, 3), (64, "6", 8, 5), (4, "16", 1, 3)],
)
def test_default_workers(monkeypatch, cpus, slurm, ranks, expected) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cpus)))
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    if slurm:
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", slurm)
    assert default_workers(ranks) == expected


class _Killed(torch.utils.data.Dataset):
    """A worker that the system ends, as for want of memory."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return index


def test_a_worker_that_was_killed_is_one_line_with_the_keys(capsys) -> None:
    loader = torch.utils.data.DataLoader(_Killed(), **worker_settings(1))
    with pytest.raises(SystemExit) as stop:
        one_line_errors(lambda: print(list(loader)))
    assert stop.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(r"error: DataLoader worker \(pid.*want of memory: --data.num_workers=2 or fewer", line)


def test_an_error_of_ours_is_still_told_with_its_place() -> None:
    def fault() -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        one_line_errors(fault)


class Gone(torch.utils.data.Dataset):
    """Whose worker leaves while a batch that it has handed over waits to be fetched, or which fails by itself."""

    def __init__(self, fails: bool) -> None:
        self.fails = fails

    def __len__(self) -> int:
        return 1

    def __getitem__(self, _: int) -> "Lost":
        if self.fails:
            raise ConnectionResetError("of the data set")
        return Lost()


class Lost:
    """A batch that cannot be fetched any more."""

    def __reduce__(self):
        return _reset, ()


def _reset() -> None:
    raise ConnectionResetError(104, "Connection reset by peer")


def _first(items: list) -> object:
    return items[0]


@pytest.mark.parametrize(
    ("fails", "error", "message"),
    [
        (False, RuntimeError, r"DataLoader worker \(pid.*\) exited unexpectedly"),
        (True, ConnectionResetError, "of the data set"),
    ],
)
def test_a_batch_of_a_worker_that_is_gone_is_told_as_such(fails, error, message) -> None:
    with pytest.raises(error, match=message):
        list(Loader(Gone(fails), collate_fn=_first, **worker_settings(1)))
