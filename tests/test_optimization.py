"""Learning-rate schedules."""

import math

import pytest
import torch
from lightning.pytorch import LightningModule
from torch.optim.lr_scheduler import OneCycleLR, StepLR

from lightning_modules.optimization import CosineDecay, configure


def rates(schedule, optimizer, steps):
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_cosine_decay_is_the_official_per_step_rule():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1e-4)
    found = rates(CosineDecay(optimizer, min_lr=5e-6, total_steps=50), optimizer, 51)
    expected = [5e-6 + (1e-4 - 5e-6) * 0.5 * (1 + math.cos(math.pi * step / 50)) for step in range(51)]
    assert found == pytest.approx(expected, rel=1e-12)


def test_warmup_rises_to_the_base_rate():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    found = rates(CosineDecay(optimizer, warmup_steps=4, total_steps=10), optimizer, 11)
    assert found[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert found[-1] == pytest.approx(0.0)


def test_state_continues():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = CosineDecay(optimizer, total_steps=10)
    rates(schedule, optimizer, 3)
    again = CosineDecay(torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0), total_steps=10)
    again.load_state_dict(schedule.state_dict())
    assert again.get_lr() == schedule.get_lr()


def test_one_cycle_steps_with_the_optimizer():
    module = LightningModule()
    module.layer = torch.nn.Linear(1, 1)
    settings = configure(
        module, torch.optim.SGD, lambda optimizer: OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    )
    assert settings["lr_scheduler"]["interval"] == "step"
    per_epoch = configure(module, torch.optim.SGD, lambda optimizer: StepLR(optimizer, step_size=2))
    assert per_epoch["lr_scheduler"]["interval"] == "epoch"
