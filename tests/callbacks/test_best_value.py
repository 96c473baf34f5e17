"""The best value so far, as sweeps compare it."""

import math
from types import SimpleNamespace

import pytest
from lightning.pytorch.trainer.states import TrainerFn

from lightning_modules.callbacks import best_value
from lightning_modules.callbacks.best_value import BestValue


@pytest.fixture
def logged(monkeypatch):
    found = []
    logger = SimpleNamespace(log_metrics=found.append)
    monkeypatch.setattr(best_value, "wandb_loggers", lambda trainer: [logger])
    return found


def validate(callback, value, fn=TrainerFn.FITTING):
    trainer = SimpleNamespace(state=SimpleNamespace(fn=fn), callback_metrics={"val/eer": value})
    callback.on_validation_end(trainer, None)


@pytest.mark.parametrize(("mode", "best"), [("min", [0.3, 0.2, 0.2, 0.1]), ("max", [0.3, 0.3, 0.3, 0.3])])
def test_best_value_survives_worse_ones_and_a_restart(mode, best, logged):
    callback = BestValue("val/eer", mode)
    for value in (math.nan, 0.3, 0.2):
        validate(callback, value)
    again = BestValue("val/eer", mode)
    again.load_state_dict(callback.state_dict())
    for value in (math.nan, 0.1):
        validate(again, value)
    validate(again, 9.0, fn=TrainerFn.VALIDATING)
    assert [each["best/val/eer"] for each in logged] == best
