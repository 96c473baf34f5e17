import copy
from typing import Any

import pytest
import torch
from small_encoder import Deaf, SmallEncoder
from torch import nn

from lightning_modules.networks.encoders import LoRA

LORA = LoRA(targets=["q_proj", "v_proj"], rank=2, alpha=6.0, dropout=0.5)
CLIPS = torch.randn(3, 1, 80, generator=torch.Generator().manual_seed(0))


def built(seed=0, **settings):
    torch.manual_seed(seed)
    return SmallEncoder(**settings)


def trainable(encoder):
    return {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}


def trained(encoder):
    encoder.train()
    torch.manual_seed(1)
    optimizer = torch.optim.SGD((p for p in encoder.parameters() if p.requires_grad), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        encoder(CLIPS).states.square().sum().backward()
        optimizer.step()
    return encoder


@pytest.mark.parametrize("layers", ["last", "all", [1]])
def test_lora_equals_the_base_at_its_start_and_trains_two_matrices_a_layer(layers):
    base, adapted = built(layers=layers).eval(), built(layers=layers, trainable="lora", lora=LORA).eval()
    assert torch.equal(adapted(CLIPS).states, base(CLIPS).states)
    depth = 1 if layers == [1] else 2
    numbers = {name: p.numel() for name, p in adapted.named_parameters() if p.requires_grad}
    assert sum(numbers.values()) == depth * 2 * 2 * (8 + 8)
    assert "layers_of_blocks.0.q_proj.lora_A.default.weight" in numbers


def test_only_lora_drops_out_and_nothing_else_changes():
    encoder = built(trainable="lora", lora=LORA)
    before = copy.deepcopy(encoder.state_dict())
    trained(encoder)
    modes = {name for name, module in encoder.named_modules() if module.training}
    assert modes == {
        f"layers_of_blocks.{block}.{layer}.lora_dropout{part}"
        for block in (0, 1)
        for layer in ("q_proj", "v_proj")
        for part in ("", ".default")
    }
    changed = {name for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == trainable(encoder)
    encoder.eval()
    assert not any(module.training for module in encoder.modules())


def test_merged_it_is_a_plain_encoder_of_the_same_numbers():
    adapted = trained(built(trainable="lora", lora=LORA)).eval()
    expected = adapted(CLIPS).states
    layer: Any = adapted.blocks[1].v_proj
    weight = layer.base_layer.weight + 6 / 2 * layer.lora_B.default.weight @ layer.lora_A.default.weight
    plain = adapted.merge()
    torch.testing.assert_close(plain.get_parameter("layers_of_blocks.1.v_proj.weight"), weight)
    torch.testing.assert_close(plain(CLIPS).states, expected, rtol=1e-5, atol=1e-6)
    assert list(plain.state_dict()) == list(built().state_dict())
    assert not trainable(plain)
    fresh = built(seed=3)
    fresh.load_state_dict(plain.state_dict())
    assert torch.equal(fresh.eval()(CLIPS).states, plain(CLIPS).states)


@pytest.mark.parametrize(
    ("lora", "said"),
    [
        (
            LoRA(targets=["query"]),
            "'query' is none of the linear layers of SmallEncoder, which are q_proj, v_proj",
        ),
        (LoRA(targets=["patches"]), "'patches' is none of the linear layers"),
        (LoRA(targets=[]), "name some of the linear layers: q_proj, v_proj"),
    ],
)
def test_a_target_that_is_no_linear_layer_is_refused(lora, said):
    with pytest.raises(ValueError, match=said):
        built(trainable="lora", lora=lora)


def test_a_target_without_effect_is_refused():
    built(block=Deaf, trainable="lora", lora=LoRA(targets=["q_proj"]))
    with pytest.raises(ValueError, match=r"2 layers of SmallEncoder .*without any effect.*0\.v_proj"):
        built(block=Deaf, trainable="lora", lora=LORA)
    with pytest.raises(ValueError, match="none lies below the layers"):
        built(layers=0, trainable="lora", lora=LORA)


@pytest.mark.parametrize(("trainable", "lora"), [("lora", None), ("all", LORA), (1, LORA)])
def test_lora_and_what_is_adapted_go_together(trainable, lora):
    with pytest.raises(ValueError, match=r"lora: (\{targets|goes with)"):
        built(trainable=trainable, lora=lora)


def test_lora_needs_its_library(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(
        ValueError, match=r"trainable=lora: .*pip install 'audio-research-platform\[encoders\]'"
    ):
        built(trainable="lora", lora=LORA)


@pytest.mark.parametrize("choice", ["none", 1, "lora", "all"])
def test_what_does_not_train_is_in_evaluation_from_the_beginning(choice):
    encoder = built(trainable=choice, lora=LORA if choice == "lora" else None)
    modes = [encoder.get_submodule(f"layers_of_blocks.{block}.dropout").training for block in (0, 1)]
    assert (
        modes
        == {"none": [False, False], 1: [False, True], "lora": [False, False], "all": [True, True]}[choice]
    )


def test_frozen_parts_have_no_gradient_and_keep_their_statistics():
    encoder = built(trainable=1)
    before = copy.deepcopy(encoder.state_dict())
    assert trainable(encoder) == {
        f"layers_of_blocks.1.{name}" for name, _ in encoder.blocks[1].named_parameters()
    }
    trained(encoder)
    changed = {name for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])}
    statistics = {
        f"layers_of_blocks.1.norm.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")
    }
    assert changed == trainable(encoder) | statistics
    frozen = built(trainable="none").train()
    assert not frozen(CLIPS).states.requires_grad
    assert torch.equal(frozen(CLIPS).states, built().eval()(CLIPS).states)


def test_what_is_not_needed_does_not_train():
    """Of all that trains, data-parallel ranks wait for a gradient."""
    encoder = built(layers=[0, 1])
    encoder(CLIPS).states.sum().backward()
    assert all(p.grad is not None for p in encoder.parameters() if p.requires_grad)
    assert not trainable(encoder) & {"norm.weight", "layers_of_blocks.1.q_proj.weight"}
    assert trainable(built(layers=[1], trainable=1)) == {
        f"layers_of_blocks.0.{name}" for name, _ in encoder.blocks[0].named_parameters()
    }
    with pytest.raises(ValueError, match=r"trainable=2: layers=\[1\] of SmallEncoder needs 1 blocks"):
        built(layers=[1], trainable=2)


def test_checkpoints_may_leave_out_what_the_weights_tell():
    assert built(trainable="none").from_weights() == set()
    for choice, left in (("none", set()), ("all", None), (1, {"layers_of_blocks.1."}), ("lora", {".lora_"})):
        encoder = built(trainable=choice, lora=LORA if choice == "lora" else None)
        encoder.weights_sha256 = "0"
        names = set(encoder.state_dict())
        kept = names if left is None else {name for name in names for part in left if part in name}
        assert encoder.from_weights() == names - kept


def test_depth_is_counted_from_the_input():
    encoder = built()
    depths = [
        encoder.depth_of(name) for name in ("patches.weight", "layers_of_blocks.0.norm.bias", "norm.weight")
    ]
    assert depths == [0, 1, 3]
    assert encoder.depth_of("layers_of_blocks.1.q_proj.weight") == 2


def test_a_copy_of_an_adapted_encoder_is_its_own():
    encoder = built(trainable="lora", lora=LORA).eval()
    other = copy.deepcopy(encoder)
    nn.init.ones_(other.get_parameter("layers_of_blocks.0.q_proj.lora_B.default.weight"))
    assert not torch.equal(encoder(CLIPS).states, other(CLIPS).states)
