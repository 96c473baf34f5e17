"""A bar in a terminal that reads metrics where they are logged and nowhere else, and lines in a log."""

import io

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from lightning_modules.callbacks import progress
from lightning_modules.callbacks.log_interval import LogInterval
from lightning_modules.callbacks.progress import LoggedProgressBar, ProgressLines


class Toy(LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch, batch_idx):
        loss = self.weight.sum()
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Counted(LoggedProgressBar):
    def __init__(self):
        super().__init__()
        self.read_at = []

    def get_metrics(self, trainer, pl_module):
        self.read_at.append(trainer.global_step)
        return super().get_metrics(trainer, pl_module)


@pytest.mark.parametrize(("every", "expected"), [(1, [*range(1, 13)]), (5, [5, 10])])
def test_metrics_are_read_where_they_are_logged(every, expected, tmp_path):
    bar = Counted()
    trainer = Trainer(
        accelerator="cpu",
        max_steps=12,
        log_every_n_steps=every,
        callbacks=[bar],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(Toy(), DataLoader(TensorDataset(torch.zeros(12, 1))))
    assert sorted({step for step in bar.read_at if step}) == expected


class Validated(Toy):
    """Loses what it has as its weight grows; a step takes as long as the clock says."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def training_step(self, batch, batch_idx):
        self.clock.now += 100.0
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch, batch_idx):
        self.clock.now += 200.0
        self.log("val/eer", 0.25)

    test_step = validation_step


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def quiet(tmp_path, **settings):
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=tmp_path,
        **settings,
    )


def loader(length):
    return DataLoader(TensorDataset(torch.zeros(length, 1)))


def test_a_log_has_a_line_an_epoch_and_one_every_five_minutes(tmp_path, capsys):
    clock = Clock()
    trainer = quiet(tmp_path, max_epochs=2, callbacks=[ProgressLines(clock)])
    model = Validated(clock)
    trainer.fit(model, loader(5), loader(2))
    out = [
        line
        for line in capsys.readouterr().out.splitlines()
        if line.startswith(("epoch", "validation", "test"))
    ]
    # 3 steps are 300 s; 2 more and 1 of validation 400 s; a batch later the epoch ends
    assert out == [
        "epoch 1/2, step 3/10: train/loss 0.8, rate 0.1, 12 min left",
        "validation: batch 1/2",
        "epoch 1/2, step 5/10: train/loss 0.6, rate 0.1, val/eer 0.25, 15 min left",
        "epoch 2/2, step 8/10: train/loss 0.3, rate 0.1, 5 min left",
        "validation: batch 1/2",
        "epoch 2/2, step 10/10: train/loss 0.1, rate 0.1, val/eer 0.25, 0 s left",
    ]
    trainer.test(model, loader(4), verbose=False)
    out = [line for line in capsys.readouterr().out.splitlines() if line.startswith("test")]
    assert out == ["test: batch 2/4", "test: batch 4/4"]


def test_other_ranks_print_nothing(tmp_path, capsys):
    clock = Clock()
    lines = ProgressLines(clock)
    trainer = quiet(tmp_path, max_epochs=1, callbacks=[lines])
    lines.setup = lambda *_, **__: lines.disable()  # pyright: ignore[reportAttributeAccessIssue]
    trainer.fit(Validated(clock), loader(5), loader(2))
    assert "epoch" not in capsys.readouterr().out


@pytest.mark.parametrize(("terminal", "expected"), [(True, LoggedProgressBar), (False, ProgressLines)])
def test_a_terminal_has_a_bar_and_a_file_lines(terminal, expected, monkeypatch):
    from rich.console import Console

    monkeypatch.setattr(progress, "get_console", lambda: Console(file=io.StringIO(), force_terminal=terminal))
    assert type(progress.progress()) is expected


@pytest.mark.parametrize(("steps", "expected"), [(12, 1), (62, 3), (999, 49), (1000, 50), (5000, 50)])
def test_a_short_run_logs_twenty_points(steps, expected, tmp_path):
    trainer = quiet(tmp_path, max_epochs=1, callbacks=[LogInterval()], enable_progress_bar=False)
    trainer.fit(Toy(), loader(min(steps, 12)))
    trainer = quiet(tmp_path, max_steps=steps, callbacks=[each := LogInterval()], enable_progress_bar=False)
    trainer.limit_train_batches = 0
    each.on_train_start(trainer, Toy())
    assert trainer.log_every_n_steps == expected  # pyright: ignore[reportAttributeAccessIssue]


def test_a_restart_logs_as_the_run_did():
    checkpoint = {}
    before, after, older = LogInterval(), LogInterval(), LogInterval()
    before._steps = 7
    before.on_save_checkpoint(None, None, checkpoint)  # pyright: ignore[reportArgumentType]
    after.on_load_checkpoint(None, None, checkpoint)  # pyright: ignore[reportArgumentType]
    assert after._steps == 7
    older.on_load_checkpoint(None, None, {})  # pyright: ignore[reportArgumentType]
    assert older._steps is None
