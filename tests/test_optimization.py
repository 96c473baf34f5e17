"""Learning-rate schedules."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import ReduceLROnPlateau
from torch.optim.lr_scheduler import OneCycleLR, StepLR

from lightning_modules.optimization import CosineDecay, configure, fused_on_cpu


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


def test_a_run_of_another_length_is_told_which_curve_it_follows():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    longer = CosineDecay(optimizer, total_steps=20)
    with pytest.warns(UserWarning, match=r"curve of 10 steps, not along one of the 20 .*total_steps=10"):
        longer.load_state_dict(CosineDecay(optimizer, total_steps=10).state_dict())
    assert longer.total_steps == 10


def test_one_cycle_steps_with_the_optimizer():
    module = LightningModule()
    module.layer = torch.nn.Linear(1, 1)
    settings = configure(
        module, torch.optim.SGD, lambda optimizer: OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    )
    assert settings["lr_scheduler"]["interval"] == "step"
    per_epoch = configure(module, torch.optim.SGD, lambda optimizer: StepLR(optimizer, step_size=2))
    assert per_epoch["lr_scheduler"]["interval"] == "epoch"


def on_a_plateau(monitor, clips=("clip",), **settings):
    module: Any = LightningModule()
    module.layer = torch.nn.Linear(1, 1)
    defaults = {"check_val_every_n_epoch": 1, "limit_val_batches": 1.0}
    data = SimpleNamespace(rows={"validation": clips})
    module._trainer = SimpleNamespace(**defaults | settings, datamodule=data)
    return configure(module, torch.optim.SGD, lambda optimizer: ReduceLROnPlateau(optimizer, monitor))


def test_a_plateau_is_looked_for_where_its_value_is_new():
    found = on_a_plateau("val/top1", check_val_every_n_epoch=3)["lr_scheduler"]
    assert (found["monitor"], found["frequency"]) == ("val/top1", 3)
    assert "frequency" not in on_a_plateau("train/loss", check_val_every_n_epoch=3)["lr_scheduler"]


@pytest.mark.parametrize("without", [{"clips": ()}, {"limit_val_batches": 0}])
def test_a_plateau_of_nothing_is_refused(without):
    with pytest.raises(ValueError, match="waits for val/top1, and nothing is validated"):
        on_a_plateau("val/top1", **without)
    assert on_a_plateau("train/loss", **without)["lr_scheduler"]["monitor"] == "train/loss"


def test_a_plateau_is_not_looked_for_where_epochs_may_have_no_validation():
    with pytest.raises(ValueError, match="check_val_every_n_epoch=null validates whatever the epoch"):
        on_a_plateau("val/top1", check_val_every_n_epoch=None)
    found = on_a_plateau("train/loss", check_val_every_n_epoch=None)["lr_scheduler"]
    assert found["monitor"] == "train/loss"


def test_on_a_cpu_one_kernel_makes_the_step_of_the_same_formula():
    torch.manual_seed(0)
    begin, gradients = torch.randn(40, 40), torch.randn(20, 40, 40)
    stepped = []
    for fused in (False, None):
        parameter = torch.nn.Parameter(begin.clone())
        adam = fused_on_cpu(torch.optim.AdamW([parameter], weight_decay=0.1, fused=fused))
        assert adam.param_groups[0]["fused"] is (fused is None)
        for gradient in gradients:
            parameter.grad = gradient.clone()
            adam.step()
        stepped.append(parameter.detach())
    torch.testing.assert_close(*stepped, rtol=1e-6, atol=1e-7)
    assert not torch.equal(stepped[0], begin)


def test_a_run_that_began_without_the_one_kernel_goes_on_without():
    parameter = torch.nn.Parameter(torch.zeros(1))
    before, after = torch.optim.Adam([parameter]), fused_on_cpu(torch.optim.Adam([parameter]))
    after.load_state_dict(before.state_dict())
    assert after.param_groups[0]["fused"] is None
    asked = fused_on_cpu(torch.optim.Adam([parameter], foreach=True))
    assert asked.param_groups[0]["fused"] is None
    assert "fused" not in fused_on_cpu(torch.optim.Adadelta([parameter])).param_groups[0]
