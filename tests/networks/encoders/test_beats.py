import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from beats_file import CFG, SMALL, write
from torch import Tensor

from lightning_modules.networks.back_ends import PooledLinear
from lightning_modules.networks.encoder_classifier import EncoderClassifier
from lightning_modules.networks.encoders import BEATs, LoRA


def drawn(network):
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, 0.05, 0.3)
    return network


def test_sizes_are_the_published_ones():
    with torch.device("meta"):
        network = BEATs()
        adapted = BEATs(trainable="lora", lora=LoRA(targets=["q_proj", "v_proj"], rank=64))
    numbers = sum(parameter.numel() for parameter in network.parameters())
    assert sum(p.numel() for p in adapted.parameters() if p.requires_grad) == 2_359_296
    assert numbers == 90_311_792
    assert len(network.state_dict()) == 250
    assert numbers + PooledLinear(527, dim=768).proj_fc.weight.numel() + 527 == 90_717_055
    assert network.state_dict()["encoder.layers.11.self_attn.relative_attention_bias.weight"].shape == (
        320,
        12,
    )


def test_forward_against_its_formulas():
    """A block, token by token, in float64."""
    network = drawn(BEATs(**SMALL | {"depth": 1})).double().eval()
    weights: dict[str, Tensor] = dict(network.state_dict())
    features = torch.randn(1, 128, 34, dtype=torch.double)  # 2 columns of 8 rows, and 2 frames that fill none

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"])

    patches = [
        torch.einsum(
            "tf,dtf->d", features[0, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16].T, kernel
        )
        for kernel in [weights["patch_embedding.weight"][:, 0]]
        for column in (0, 1)
        for row in range(8)
    ]
    x = linear(norm(torch.stack(patches), "layer_norm"), "post_extract_proj")  # (token, width)
    direction = weights["encoder.pos_conv.0.weight_v"]
    kernel = weights["encoder.pos_conv.0.weight_g"] * direction / direction.square().sum((0, 1)).sqrt()
    where = weights["encoder.pos_conv.0.bias"].repeat(16, 1)
    for group in range(16):
        own = slice(2 * group, 2 * group + 2)
        for token in range(16):
            for other in range(16):
                place = other - token + 64
                if 0 <= place < 128:
                    where[token, own] += kernel[own, :, place] @ x[other, own]
    x = norm(x + F.gelu(where), "encoder.layer_norm")
    name = "encoder.layers.0"
    query, key, value = (
        linear(x, f"{name}.self_attn.{part}_proj").view(16, 4, 8).transpose(0, 1) for part in "qkv"
    )
    table = weights[f"{name}.self_attn.relative_attention_bias.weight"]
    heard = torch.zeros(4, 16, 8, dtype=torch.double)
    for head in range(4):
        for token in range(16):
            gates = linear(query[head, token], f"{name}.self_attn.grep_linear").view(2, 4).sum(1).sigmoid()
            gate = gates[0] * (gates[1] * weights[f"{name}.self_attn.grep_a"][0, head, 0, 0] - 1) + 2
            distance = torch.stack([table[abs(o - token) + 160 * (o > token), head] for o in range(16)])
            scores = key[head] @ query[head, token] / math.sqrt(8) + gate * distance
            heard[head, token] = scores.softmax(0) @ value[head]
    added = linear(heard.transpose(0, 1).reshape(16, 32), f"{name}.self_attn.out_proj")
    x = norm(2**0.25 * x + added, f"{name}.self_attn_layer_norm")
    added = linear(F.gelu(linear(x, f"{name}.fc1")), f"{name}.fc2")
    x = norm(2**0.25 * x + added, f"{name}.final_layer_norm")
    hidden = network(features)
    expected = x.view(2, 8, 32).mean(1)
    torch.testing.assert_close(hidden.states[0, 0], expected, atol=1e-10, rtol=1e-10)
    assert hidden.length.tolist() == [2]


def test_far_distances_share_a_bias_by_their_logarithm():
    positions = BEATs(**SMALL)._positions
    distance = torch.tensor([0, 1, 79, 80, 81, 799, 800, 5000, -1, -800])
    assert positions._bucket(distance).tolist() == [0, 161, 239, 240, 240, 319, 319, 319, 1, 159]


@pytest.mark.parametrize(("seconds", "columns"), [(1, 6), (10, 62), (12, 74), (30, 187)])
def test_any_length_alone_and_beside_a_longer_clip(seconds, columns):
    network = drawn(BEATs(**SMALL)).eval()
    frames = seconds * 100 - 2
    features = torch.randn(2, 128, 3100)
    with torch.no_grad():
        alone = network(features[:1, :, :frames])
        both = network(features, torch.tensor([frames, 3100]))
    assert alone.states.shape == (1, 1, columns, 32)
    assert both.length.tolist() == [columns, 193]
    torch.testing.assert_close(both.states[:1, :, :columns], alone.states, atol=1e-5, rtol=0)


def test_rows_and_layers():
    features = torch.randn(1, 128, 98)
    network = drawn(BEATs(**SMALL, layers="all", rows="all")).eval()
    whole = network(features).states
    assert whole.shape == (1, 3, 48, 32)
    network.rows = "stack"
    assert torch.equal(network(features).states, whole.reshape(1, 3, 6, 256))
    network.rows, network.layers = "all", "last"
    assert torch.equal(network(features).states[:, 0], whole[:, -1])


def test_a_file_gives_all_sizes_and_every_tensor(tmp_path):
    published = drawn(BEATs(**SMALL))
    path = write(tmp_path / "beats.pt", published)
    network = BEATs(path)
    assert all(
        torch.equal(value, network.state_dict()[name]) for name, value in published.state_dict().items()
    )
    assert (network.width, len(network.blocks)) == (32, 2)
    assert network.weights_sha256 is not None
    blocks: Any = network.blocks
    assert len({id(block.self_attn.relative_attention_bias) for block in blocks}) == 1


def without(key):
    return {name: value for name, value in CFG.items() if name != key}


@pytest.mark.parametrize(
    ("cfg", "more", "said"),
    [
        (None, {}, "beats.pt: no cfg, the configuration that published BEATs carry"),
        (without("deep_norm"), {}, "cfg lacks deep_norm"),
        (CFG | {"deep_norm": False}, {}, "cfg.deep_norm=False, where all published BEATs have True"),
        (
            CFG | {"layer_norm_first": True},
            {},
            "cfg.layer_norm_first=True, where all published BEATs have False",
        ),
        (without("max_distance"), {}, "cfg lacks max_distance"),
        (CFG, {"encoder.extra": torch.zeros(1)}, r"1 unexpected \(encoder.extra\)"),
        (CFG | {"encoder_layers": 3}, {}, r"missing \(encoder.layers.2"),
    ],
)
def test_other_files_are_refused_by_name(cfg, more, said, tmp_path):
    path = write(tmp_path / "beats.pt", BEATs(**SMALL), cfg, **more)
    with pytest.raises(ValueError, match=said) as error:
        BEATs(path)
    assert "\n" not in str(error.value)


def test_a_file_of_other_sizes_than_the_networks_is_refused(tmp_path):
    path = write(tmp_path / "beats.pt", BEATs(**SMALL))
    with pytest.raises(
        ValueError, match=r"cfg.encoder_layers=2, and this BEATs has depth=1: name the file in"
    ):
        BEATs(**SMALL | {"depth": 1}).load_official(path)


def test_all_of_it_trains():
    """Without an operation in place on what the backward pass needs."""
    network = BEATs(**SMALL, dropout=0.1)
    assert network.training
    network(torch.randn(2, 128, 100), torch.tensor([100, 60])).states.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in network.parameters())


@pytest.mark.parametrize(("trainable", "trains"), [("all", True), (1, False), (2, False), ("none", False)])
def test_the_shared_table_trains_with_all_blocks_alone(trainable, trains):
    network = BEATs(**SMALL, trainable=trainable, layers=[1] if trainable == "all" else "last")
    assert network._positions.weight.requires_grad is trains
    assert not BEATs(**SMALL, layers=0)._positions.weight.requires_grad


def test_lora_has_an_effect():
    network = BEATs(**SMALL, trainable="lora", lora=LoRA(targets=["q_proj", "v_proj"], rank=4))
    trainable = {name: p for name, p in network.named_parameters() if p.requires_grad}
    assert sum(p.numel() for p in trainable.values()) == 2 * 2 * 4 * (32 + 32)
    network(torch.randn(1, 128, 50)).states.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for name, p in trainable.items() if ".lora_B." in name)


def test_a_fine_tuned_file_classifies_by_the_mean_of_its_tokens(tmp_path):
    published, head = drawn(BEATs(**SMALL)), torch.nn.Linear(32, 5)
    tensors = {f"predictor.{name}": value for name, value in head.state_dict().items()}
    path = write(tmp_path / "beats.pt", published, **tensors)
    network = EncoderClassifier(BEATs(path), PooledLinear(5, dim=32)).eval().load_official(path)
    features = torch.randn(2, 128, 50)
    tokens = BEATs(path, rows="all").eval()(features).states[:, 0]
    torch.testing.assert_close(network(features).logits, head(tokens).mean(1))
    back_end = PooledLinear(3, dim=32)
    before = back_end.proj_fc.weight.clone()
    EncoderClassifier(BEATs(path), back_end).load_official(path)
    assert torch.equal(back_end.proj_fc.weight, before)


@pytest.mark.parametrize("shape", [(2, 64, 100), (2, 128, 15)])
def test_unfit_features_are_refused(shape):
    with pytest.raises(ValueError, match=r"BEATs expects \(batch, 128, at least 16\)"):
        BEATs(**SMALL)(torch.randn(shape))
