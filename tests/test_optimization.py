"""Learning-rate schedules."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import ReduceLROnPlateau
from plain_method import PlainMethod
from speech_sources import small
from torch.optim.lr_scheduler import OneCycleLR, StepLR

from lightning_modules.event import EventClassifier
from lightning_modules.optimization import (
    CosineDecay,
    EncoderRate,
    ExponentialDecay,
    configure,
    fused_on_cpu,
)


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


def test_exponential_decay_falls_by_one_factor_a_step_after_the_warmup():
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1e-7)
    found = rates(ExponentialDecay(optimizer, final=0.01, warmup_steps=4, total_steps=24), optimizer, 30)
    rising = [0.25e-7, 0.5e-7, 0.75e-7, 1e-7]
    falling = [1e-7 * 0.01 ** (step / 20) for step in range(21)]
    assert found == pytest.approx([*rising, *falling, *[1e-9] * 5], rel=1e-12)


def test_constant_after_the_warmup():
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1e-4)
    found = rates(ExponentialDecay(optimizer, final=1, warmup_steps=5, total_steps=9), optimizer, 12)
    assert found == pytest.approx([2e-5, 4e-5, 6e-5, 8e-5, *[1e-4] * 8], rel=1e-12)
    for final in (0, 1.5):
        with pytest.raises(ValueError, match=rf"lr_scheduler\.final={final} must be in \(0, 1\]"):
            ExponentialDecay(optimizer, final=final)


def on_encoder(lr_scheduler=None, name="xlsr_300m", method: Any = PlainMethod, **rate):
    network = torch.nn.ModuleDict({"encoder": small(name), "head": torch.nn.Linear(64, 2)})
    module: Any = method(network) if method is PlainMethod else method(network, torch.nn.Identity())
    module.lr_scheduler_factory = lr_scheduler
    module.optimizer_factory = lambda groups: torch.optim.AdamW(groups, lr=0.1, weight_decay=0.5)
    module.encoder_lr = EncoderRate(**rate) if rate else None
    module._trainer = SimpleNamespace(estimated_stepping_batches=10)
    names = {parameter: name for name, parameter in module.named_parameters()}
    settings = module.configure_optimizers()
    groups = settings["optimizer"].param_groups
    return settings, groups, {names[each]: group for group in groups for each in group["params"]}


def test_layers_learn_the_more_slowly_the_deeper_they_lie():
    _, groups, of = on_encoder(scale=0.5, layer_decay=0.8)
    model = "network.encoder.model."
    expected = {
        "network.head.weight": 0.1,
        f"{model}encoder.layer_norm.bias": 0.05,
        f"{model}encoder.layers.1.attention.q_proj.weight": 0.04,
        f"{model}encoder.layers.0.final_layer_norm.weight": 0.032,
        f"{model}encoder.pos_conv_embed.conv.bias": 0.0256,
        f"{model}feature_extractor.conv_layers.0.conv.weight": 0.0256,
    }
    assert {name: of[name]["lr"] for name in expected} == pytest.approx(expected, rel=1e-12)
    assert [group["lr"] for group in groups] == pytest.approx(sorted(set(expected.values()), reverse=True))
    # without the embedding of masks, with the head's two and the method's own
    assert len(of) == sum(len(group["params"]) for group in groups) == len(list(small().parameters())) - 1 + 3


def test_groups_that_decay_are_divided_as_they_are():
    _, _, of = on_encoder(method=EventClassifier, scale=0.5)
    layer = "network.encoder.model.encoder.layers.0.attention.q_proj."
    found = {name: (of[name]["lr"], of[name]["weight_decay"]) for name in (f"{layer}weight", f"{layer}bias")}
    assert found == {f"{layer}weight": (0.05, 0.5), f"{layer}bias": (0.05, 0.0)}
    assert (of["network.head.bias"]["lr"], of["network.head.bias"]["weight_decay"]) == (0.1, 0.0)


def test_all_learn_at_one_rate_unless_told_otherwise():
    _, groups, _ = on_encoder()
    assert [group["lr"] for group in groups] == [0.1]


def test_a_schedule_keeps_the_ratio_of_the_rates():
    settings, groups, of = on_encoder(
        lambda optimizer: CosineDecay(optimizer, min_lr=0.01, warmup_steps=2), scale=0.1
    )
    schedule, seen = settings["lr_scheduler"]["scheduler"], []
    for _ in range(11):
        seen.append([group["lr"] for group in groups])
        settings["optimizer"].step()
        schedule.step()
    cosine = [0.01 + 0.09 * 0.5 * (1 + math.cos(math.pi * step / 8)) for step in range(9)]
    assert [rate for rate, _ in seen] == pytest.approx([0.05, 0.1, *cosine], rel=1e-12)
    assert [slow for _, slow in seen] == pytest.approx([0.1 * rate for rate, _ in seen], rel=1e-12)
    assert of["network.head.bias"]["lr"] == groups[0]["lr"]


def test_rates_that_cannot_be_given_are_refused():
    with pytest.raises(ValueError, match="OneCycleLR gives all parameters one rate"):
        on_encoder(lambda optimizer: OneCycleLR(optimizer, max_lr=1.0, total_steps=10), scale=0.1)
    for name in ("scale", "layer_decay"):
        with pytest.raises(ValueError, match=rf"model\.encoder_lr\.{name}=0\.0 must be above 0"):
            EncoderRate(**{name: 0.0})
    module: Any = PlainMethod(torch.nn.Linear(2, 2))
    module.encoder_lr = EncoderRate(scale=0.1)
    with pytest.raises(ValueError, match=r"model\.encoder_lr: this PlainMethod has no pretrained encoder"):
        module.configure_optimizers()
