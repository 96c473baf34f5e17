"""Values that a run waits for and that nothing logs: refused with the key and the nearest value."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from lightning_modules.callbacks.monitors import Monitors


def trainer(*callbacks, rows=(1,), limit=1.0, plateau=None) -> Any:
    schedules = [SimpleNamespace(reduce_on_plateau=True, monitor=plateau)] if plateau else []
    return SimpleNamespace(
        callbacks=list(callbacks),
        callback_metrics={"val/eer": torch.tensor(0.5), "train/loss": torch.tensor(1.0)},
        lr_scheduler_configs=schedules,
        sanity_checking=False,
        limit_val_batches=limit,
        datamodule=SimpleNamespace(rows={"validation": rows}),
    )


@pytest.mark.parametrize(
    ("monitors", "run", "message"),
    [
        (
            Monitors("val/err"),
            trainer(),
            r"checkpoints.monitor: nothing is logged as 'val/err'; did you mean 'val/eer'\?",
        ),
        (
            Monitors(None),
            trainer(EarlyStopping("val/top1")),
            "trainer.callbacks.EarlyStopping.monitor: nothing is logged as 'val/top1'.* Logged are train/loss, val/eer",
        ),
        (Monitors(None), trainer(ModelCheckpoint(monitor="val/er")), "ModelCheckpoint.monitor: .*'val/eer'"),
        (
            Monitors(None),
            trainer(plateau="val/loss"),
            "model.lr_scheduler.monitor: nothing is logged as 'val/loss'",
        ),
    ],
)
def test_values_of_validation_are_missed_after_it(monitors, run, message):
    monitors.on_train_epoch_end(run, run)
    with pytest.raises(ValueError, match=message):
        monitors.on_validation_end(run, run)


def test_values_of_training_are_missed_after_an_epoch():
    monitors, run = Monitors(None), trainer(EarlyStopping("train/los"))
    monitors.on_validation_end(run, run)
    with pytest.raises(ValueError, match="did you mean 'train/loss'"):
        monitors.on_train_epoch_end(run, run)


def test_what_is_logged_passes():
    monitors, run = Monitors("val/eer"), trainer(EarlyStopping("train/loss"), plateau="val/eer")
    for hook in (monitors.on_fit_start, monitors.on_validation_end, monitors.on_train_epoch_end):
        hook(run, run)


@pytest.mark.parametrize(
    "run", [trainer(EarlyStopping("val/eer"), rows=()), trainer(EarlyStopping("val/eer"), limit=0)]
)
def test_nothing_stops_early_without_a_validation(run):
    with pytest.raises(
        ValueError, match=r"EarlyStopping\.monitor waits for val/eer, and nothing is validated"
    ):
        Monitors(None).on_fit_start(run, run)
