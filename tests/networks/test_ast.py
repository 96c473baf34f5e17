import logging

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.networks import AST
from lightning_modules.networks.ast import fit_positions


def tiny(num_classes: int = 5, **settings) -> AST:
    return AST(num_classes, **{"embed_dim": 24, "num_heads": 2, "depth": 2, **settings})


def published_state(network: AST) -> dict[str, Tensor]:
    """What the published code would save of this network, with its unused heads."""
    state = {f"v.{key}": value for key, value in network.state_dict().items()}
    state = {key.replace("v.mlp_head", "mlp_head"): value for key, value in state.items()}
    for name in ("weight", "bias"):
        state[f"v.patch_embed.proj.{name}"] = state.pop(f"v.patch_embed.{name}")
        state[f"v.head.{name}"] = state[f"v.head_dist.{name}"] = torch.zeros(3)
    return {f"module.{key}": value for key, value in state.items()}


@pytest.mark.parametrize(
    ("variant", "total"), [(AST.tiny, 5_681_589), (AST.small, 21_979_701), (AST.base, 86_426_421)]
)
def test_parameters_are_the_published_ones(variant, total):
    """Those of the published networks less two heads for images, which nothing reads."""
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in variant().parameters()) == total


def test_forward_against_its_formulas():
    network = tiny(depth=1, input_size=(36, 46)).double().eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, 0.1, 0.2)
    weights = dict(network.named_parameters())
    features = torch.randn(2, 36, 46, dtype=torch.double)

    def norm(x, name, eps=1e-6):
        return F.layer_norm(x, (24,), weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    tokens = [weights["cls_token"][:, 0].expand(2, -1), weights["dist_token"][:, 0].expand(2, -1)]
    for row in (0, 10, 20):
        for column in (0, 10, 20, 30):
            patch = features[:, row : row + 16, column : column + 16]
            tokens.append(torch.einsum("bft,dft->bd", patch, weights["patch_embed.weight"][:, 0]))
            tokens[-1] = tokens[-1] + weights["patch_embed.bias"]
    x = torch.stack(tokens, dim=1) + weights["pos_embed"]
    query, key, value = (
        linear(norm(x, "blocks.0.norm1"), "blocks.0.attn.qkv").unflatten(2, (3, 2, 12)).permute(2, 0, 3, 1, 4)
    )
    heads = (query @ key.mT / 12**0.5).softmax(dim=-1) @ value
    x = x + linear(heads.transpose(1, 2).flatten(2), "blocks.0.attn.proj")
    x = x + linear(F.gelu(linear(norm(x, "blocks.0.norm2"), "blocks.0.mlp.fc1")), "blocks.0.mlp.fc2")
    embedding = norm(x, "norm")[:, :2].mean(dim=1)
    logits = linear(norm(embedding, "mlp_head.0", 1e-5), "mlp_head.1")
    output = network(features)
    torch.testing.assert_close(output.embedding, embedding, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(output.logits, logits, atol=1e-10, rtol=1e-10)


def test_positions_are_cut_from_the_centre_and_stretched():
    grid = torch.arange(2 + 5 * 6).float().view(1, -1, 1)  # two class tokens, then 5 rows of 6
    cut = fit_positions(grid, (5, 6), (2, 3))
    assert cut[0, :2, 0].tolist() == [0, 1]
    assert cut[0, 2:, 0].tolist() == [2 + 6 * 1 + 2, 2 + 6 * 1 + 3, 2 + 6 * 1 + 4, 16, 17, 18]
    wide = fit_positions(grid, (5, 6), (5, 12))[0, 2:, 0].view(5, 12)
    assert wide[0].tolist() == [2, 2.25, 2.75, 3.25, 3.75, 4.25, 4.75, 5.25, 5.75, 6.25, 6.75, 7]
    assert fit_positions(grid, (5, 6), (9, 3)).shape == (1, 2 + 27, 1)
    assert fit_positions(grid, (5, 6), (5, 6)) is grid


@pytest.mark.parametrize("num_frames", [16, 200, 998, 1024, 1030, 2048])
def test_any_length_is_the_network_built_for_it(num_frames, tmp_path):
    """Positions are fitted by one rule, to the clip or when the weights are loaded."""
    network = tiny().eval()
    torch.save(published_state(network), tmp_path / "ast.pth")
    built = tiny(input_size=(128, num_frames)).eval().load_official(tmp_path / "ast.pth")
    features = torch.randn(1, 128, num_frames)
    torch.testing.assert_close(network(features), built(features))


def test_weights_of_other_strides_and_classes_are_adapted_and_told(tmp_path, caplog):
    published = tiny(7, stride=16)
    torch.save(published_state(published), tmp_path / "ast.pth")
    network = tiny(5, input_size=(128, 300))
    head = network.mlp_head[1].get_parameter("weight").clone()
    with caplog.at_level(logging.INFO):
        assert network.load_official(tmp_path / "ast.pth") is network
    assert torch.equal(network.mlp_head[1].get_parameter("weight"), head)
    assert torch.equal(network.norm.weight, published.norm.weight)
    expected = fit_positions(published.pos_embed, (8, 64), (12, 29))
    torch.testing.assert_close(network.pos_embed, expected)
    for told in (
        "the heads for images: v.head.weight, v.head_dist.weight, v.head.bias, v.head_dist.bias",
        "adapted pos_embed from a grid of (8, 64) to (12, 29)",
        "the head stays as initialized",
        "mlp_head.1.weight (7, 24)",
        "loaded 35 tensors",
    ):
        assert told in caplog.text


def test_a_vision_transformer_without_distillation_is_refused_for_what_it_lacks(tmp_path):
    state = {key.removeprefix("module.v."): value for key, value in published_state(tiny()).items()}
    state = {key: value for key, value in state.items() if "mlp_head" not in key and key != "dist_token"}
    state["pos_embed"] = torch.randn(1, 1 + 24 * 24, 24)
    torch.save({"model": state}, tmp_path / "vit.pth")
    with pytest.raises(
        ValueError, match=r"vit.pth: a vision transformer without dist_token, .* distilled one"
    ):
        tiny().load_official(tmp_path / "vit.pth")


def test_a_vision_transformer_loads_and_its_colours_are_added_up(tmp_path, caplog):
    network = tiny(input_size=(128, 300))
    state = {key.removeprefix("module.v."): value for key, value in published_state(tiny()).items()}
    state = {key: value for key, value in state.items() if "mlp_head" not in key}
    state["patch_embed.proj.weight"] = kernel = torch.randn(24, 3, 16, 16)
    state["pos_embed"] = positions = torch.randn(1, 2 + 24 * 24, 24)
    torch.save({"model": state}, tmp_path / "deit.pth")
    with caplog.at_level(logging.INFO):
        network.load_official(tmp_path / "deit.pth")
    torch.testing.assert_close(network.patch_embed.weight, kernel.sum(dim=1, keepdim=True))
    grid = positions[0, 2:].view(24, 24, 24)  # row, column, width
    rows = F.interpolate(grid.permute(2, 0, 1)[None], (24, 29), mode="bilinear")[0, :, 6:18]
    torch.testing.assert_close(network.pos_embed[0, 2:], rows.flatten(1).T)
    torch.testing.assert_close(network.pos_embed[0, :2], positions[0, :2])
    assert "adapted patch_embed.weight, the sum of its three colours" in caplog.text


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"module.v.pos_embed": torch.zeros(1, 2 + 17, 24)},
            "17 position embeddings fill no grid of 12 rows",
        ),
        ({"module.v.norm.extra": torch.zeros(1)}, r"1 unexpected \(norm.extra\)"),
        ({"module.v.norm.weight": torch.zeros(2)}, r"norm.weight: \(2,\) instead of \(24,\)"),
    ],
)
def test_other_models_are_refused(tmp_path, change, expected):
    torch.save(published_state(tiny()) | change, tmp_path / "ast.pth")
    with pytest.raises(ValueError, match=expected):
        tiny().load_official(tmp_path / "ast.pth")


def test_every_parameter_gets_a_gradient_and_half_precision_is_close():
    network, features = tiny(), torch.randn(2, 128, 120)
    plain = network(features)
    with torch.autocast("cpu", torch.bfloat16):
        output = network(features)
    assert output.embedding.dtype == output.logits.dtype == torch.float32
    torch.testing.assert_close(output.logits, plain.logits, atol=0.05, rtol=0)
    output.logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("shape", [(2, 64, 100), (2, 128, 15)])
def test_unfit_features_are_refused(shape):
    with pytest.raises(ValueError, match=r"this AST expects \(batch, 128, at least 16\), see input_size"):
        tiny()(torch.randn(shape))
    with pytest.raises(ValueError, match=r"input_size=\(128, 15\): expected at least 16"):
        tiny(input_size=(128, 15))
