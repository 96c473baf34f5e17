"""EAT, PaSST, Dasheng and AST: transformers with a table of positions."""

import logging
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from lightning_modules.networks import AST
from lightning_modules.networks.back_ends import PooledLinear
from lightning_modules.networks.encoder_classifier import EncoderClassifier
from lightning_modules.networks.encoders import EAT, ASTEncoder, BEATs, Dasheng, LoRA, PaSST
from lightning_modules.networks.encoders.eat import sinusoids

SMALL: Any = {"depth": 2, "width": 32, "num_heads": 4}
FRAMES = {EAT: (16, 16), PaSST: (16, 10), Dasheng: (4, 4)}  # of a patch, and from patch to patch


def drawn(network):
    torch.manual_seed(0)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not name.endswith("positions"):
            nn.init.normal_(tensor, 0.05, 0.3)
        if name.endswith("running_var"):
            tensor.abs_().add_(0.5)
    return network


def numbers(network):
    return sum(tensor.numel() for tensor in network.parameters())


def test_sizes_are_the_published_ones():
    with torch.device("meta"):
        eat, passt, dasheng, head = EAT(), PaSST(), Dasheng(), nn.Linear(768, 527)
        heads = numbers(head), 2 * 768  # and a norm before it
        assert numbers(eat) + 768 * 8 * 768 + sum(heads) == 90_379_535  # with the fixed positions
        assert numbers(eat) + sum(heads) == 85_660_943
        assert len(eat.state_dict()) + 4 == 154
        assert (
            numbers(passt) + sum(heads) + numbers(head) == 86_153_758
        )  # with the head of the distillation token
        assert len(passt.state_dict()) + 6 == 159
        assert numbers(dasheng) == 85_447_808
        assert numbers(ASTEncoder()) + sum(heads) == numbers(AST(527))


def block(x: Tensor, weights: dict[str, Tensor], name: str, *, norms_first: bool) -> Tensor:
    """A block of a transformer on tokens (token, width), by its formulas."""

    def linear(x, part):
        return x @ weights[f"{name}.{part}.weight"].T + weights[f"{name}.{part}.bias"]

    def norm(x, part):
        return F.layer_norm(x, (32,), weights[f"{name}.{part}.weight"], weights[f"{name}.{part}.bias"], 1e-6)

    def attend(x):
        query, key, value = linear(x, "attn.qkv").view(-1, 3, 4, 8).permute(1, 2, 0, 3)
        heads = (query @ key.mT / 8**0.5).softmax(-1) @ value
        return linear(heads.transpose(0, 1).reshape(-1, 32), "attn.proj")

    def perceive(x):
        return linear(F.gelu(linear(x, "mlp.fc1")), "mlp.fc2")

    if norms_first:
        x = x + attend(norm(x, "norm1"))
        return x + perceive(norm(x, "norm2"))
    x = norm(x + attend(x), "norm1")
    return norm(x + perceive(x), "norm2")


def patches_of(features: Tensor, kernel: Tensor, bias: Tensor, stride: int, *, time_first: bool) -> Tensor:
    """Patches (column, row, width) of features (mel, frame), one by one."""
    rows = (features.shape[0] - 16) // stride + 1
    columns = (features.shape[1] - 16) // stride + 1
    found = torch.empty(columns, rows, 32, dtype=torch.double)
    for column in range(columns):
        for row in range(rows):
            patch = features[stride * row : stride * row + 16, stride * column : stride * column + 16]
            found[column, row] = (
                torch.einsum("xy,dxy->d", patch.T if time_first else patch, kernel[:, 0]) + bias
            )
    return found


def test_eat_against_its_formulas():
    network = drawn(EAT(**SMALL | {"depth": 1})).double().eval()
    weights = dict(network.state_dict())
    features = torch.randn(128, 40, dtype=torch.double)
    kernel, bias = (weights[f"local_encoder.proj.{name}"] for name in ("weight", "bias"))
    patches = patches_of(features, kernel, bias, 16, time_first=True)
    omega = [10000 ** -(index / 8) for index in range(8)]
    for column in range(2):
        for row in range(8):
            for place, start in ((row, 0), (column, 16)):
                angle = torch.tensor([place * each for each in omega], dtype=torch.double)
                patches[column, row, start : start + 16] += torch.cat([angle.sin(), angle.cos()])
    x = torch.cat([weights["extra_tokens"][0], patches.flatten(0, 1)])
    x = F.layer_norm(x, (32,), weights["pre_norm.weight"], weights["pre_norm.bias"], 1e-6)
    x = block(x, weights, "blocks.0", norms_first=False)
    hidden = network(features[None])
    torch.testing.assert_close(
        hidden.class_tokens[0, 0], x[:1], atol=1e-6, rtol=0
    )  # positions are of float32
    torch.testing.assert_close(hidden.states[0, 0], x[1:].view(2, 8, 32).mean(1), atol=1e-6, rtol=0)


def test_passt_against_its_formulas():
    network = drawn(PaSST(**SMALL | {"depth": 1})).double().eval()
    weights = dict(network.state_dict())
    features = torch.randn(128, 40, dtype=torch.double)
    kernel, bias = (weights[f"patch_embed.proj.{name}"] for name in ("weight", "bias"))
    patches = patches_of(features, kernel, bias, 10, time_first=False)
    patches += weights["time_new_pos_embed"][0, :, 0, :3].T[:, None]
    patches += weights["freq_new_pos_embed"][0, :, :, 0].T
    classes = torch.cat([weights["cls_token"][0], weights["dist_token"][0]]) + weights["new_pos_embed"][0]
    x = block(torch.cat([classes, patches.flatten(0, 1)]), weights, "blocks.0", norms_first=True)
    x = F.layer_norm(x, (32,), weights["norm.weight"], weights["norm.bias"], 1e-6)
    hidden = network(features[None])
    torch.testing.assert_close(hidden.class_tokens[0, 0], x[:2], atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(hidden.states[0, 0], x[2:].view(3, 12, 32).mean(1), atol=1e-10, rtol=1e-10)


def test_dasheng_against_its_formulas():
    network = drawn(Dasheng(**SMALL | {"depth": 1})).double().eval()
    weights = dict(network.state_dict())
    features = torch.randn(64, 13, dtype=torch.double)
    scale = weights["init_bn.1.weight"] / (weights["init_bn.1.running_var"] + 1e-5).sqrt()
    bands = (features - weights["init_bn.1.running_mean"][:, None]) * scale[:, None]
    bands = bands + weights["init_bn.1.bias"][:, None]
    kernel = weights["patch_embed.proj.weight"][:, 0]
    x = torch.stack([torch.einsum("ft,dft->d", bands[:, 4 * t : 4 * t + 4], kernel) for t in range(3)])
    x = x + weights["patch_embed.proj.bias"] + weights["freq_pos_embed"][0, :, 0, 0]
    x = block(x + weights["time_pos_embed"][0, :, 0, :3].T, weights, "blocks.0", norms_first=True)
    x = F.layer_norm(x, (32,), weights["norm.weight"], weights["norm.bias"], 1e-6)
    torch.testing.assert_close(network(features[None]).states[0, 0], x, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("seconds", [1, 10, 30])
def test_any_length_alone_and_beside_a_longer_clip(kind, seconds):
    network = drawn(kind(**SMALL)).eval()
    frames = seconds * 100
    features = torch.randn(2, network.num_mel_bins, 3100)
    with torch.no_grad():
        alone = network(features[:1, :, :frames])
        both = network(features, torch.tensor([frames, 3100]))
    patch, stride = FRAMES[kind]
    columns = (frames - patch) // stride + 1
    assert alone.states.shape == (1, 1, columns, 32)
    assert both.length.tolist() == [columns, (3100 - patch) // stride + 1]
    torch.testing.assert_close(both.states[:1, :, :columns], alone.states, atol=1e-5, rtol=0)
    if kind is not Dasheng:
        torch.testing.assert_close(both.class_tokens[:1], alone.class_tokens, atol=1e-5, rtol=0)


def test_a_clip_longer_than_the_table_is_encoded_in_windows():
    network = drawn(PaSST(**SMALL, num_columns=5)).double().eval()
    features = torch.randn(1, 128, 16 + 10 * 11, dtype=torch.double)  # 12 columns: 5, 5 and 2
    found = network(features)
    parts = [network(features[..., begin : begin + size]) for begin, size in ((0, 56), (50, 56), (100, 26))]
    torch.testing.assert_close(found.states, torch.cat([part.states for part in parts], dim=2))
    weighed = sum(count * part.class_tokens for count, part in zip((5, 5, 2), parts, strict=True)) / 12
    torch.testing.assert_close(found.class_tokens, weighed)
    assert found.length.tolist() == [12]


def test_layers_of_windows_stand_side_by_side():
    network = drawn(Dasheng(**SMALL, num_columns=5, layers="all")).eval()
    features = torch.randn(2, 64, 4 * 12)
    assert network(features).states.shape == (2, 3, 12, 32)
    assert network(features, torch.tensor([8, 48])).length.tolist() == [2, 12]


def fairseq_names(state):
    """As pre-training saves EAT: with a decoder and an average, nested and flat."""
    renamed = {}
    for name, tensor in state.items():
        of_encoder = name.replace("pre_norm.", "context_encoder.norm.")
        renamed[name if name.startswith("blocks.") else f"modality_encoders.IMAGE.{of_encoder}"] = tensor
    decoder = {"modality_encoders.IMAGE.decoder.proj.weight": torch.zeros(2)}
    return renamed | decoder | {"_ema": {"blocks.0.norm1.weight": torch.zeros(32)}}


@pytest.mark.parametrize("layout", ["safetensors", "folder", "fairseq", "fine-tuned"])
def test_eat_loads_all_layouts_and_tells_what_it_drops(layout, tmp_path, caplog):
    published = drawn(EAT(**SMALL))
    state, path = published.state_dict(), tmp_path / "eat.pt"
    if layout == "fairseq":
        torch.save({"cfg": {}, "model": fairseq_names(state)}, path)
    elif layout == "fine-tuned":
        head = {"fc_norm.weight": torch.ones(32), "fc_norm.bias": torch.zeros(32)}
        tensors = {
            f"model.{name}": tensor for name, tensor in fairseq_names(state).items() if "_ema" not in name
        }
        torch.save(
            {"model": tensors | head | {"head.weight": torch.ones(5, 32), "head.bias": torch.ones(5)}}, path
        )
    else:
        path = tmp_path if layout == "folder" else tmp_path / "eat.safetensors"
        file = path / "model.safetensors" if path.is_dir() else path
        save_file({f"model.{name}": tensor.contiguous() for name, tensor in state.items()}, file)
    with caplog.at_level(logging.INFO):
        network = EAT(str(path), **SMALL)
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in state.items())
    if layout == "fairseq":
        assert "left in" in caplog.text
        assert "decoder.proj.weight" in caplog.text
    if layout == "fine-tuned":
        assert "head norm.weight, head norm.bias, head weight, head bias, decoder.proj.weight" in caplog.text


def test_dasheng_leaves_the_tables_of_the_front_end(tmp_path, caplog):
    published = drawn(Dasheng(**SMALL))
    tables = {"front_end.0.spectrogram.window": torch.zeros(512)}
    torch.save({"model": published.state_dict() | tables, "config": {"depth": 2}}, tmp_path / "dasheng.pt")
    with caplog.at_level(logging.INFO):
        network = Dasheng(str(tmp_path / "dasheng.pt"), **SMALL)
    assert all(
        torch.equal(a, b)
        for a, b in zip(network.state_dict().values(), published.state_dict().values(), strict=True)
    )
    assert "left in" in caplog.text
    assert "front_end.0.spectrogram.window" in caplog.text


@pytest.mark.parametrize("kind", [*FRAMES, BEATs])
def test_a_missing_file_is_told_in_one_line(kind, tmp_path):
    with pytest.raises(
        ValueError, match=r"gone.pt: no such file: name published weights, or null, in the encoder's"
    ):
        kind(str(tmp_path / "gone.pt"))


@pytest.mark.parametrize("kind", FRAMES)
def test_an_unexpected_tensor_and_another_size_are_refused(kind, tmp_path):
    state = kind(**SMALL).state_dict()
    torch.save(state | {"blocks.0.extra": torch.zeros(1)}, tmp_path / "more.pt")
    with pytest.raises(ValueError, match=r"more.pt: .* 1 unexpected \(blocks.0.extra\)"):
        kind(str(tmp_path / "more.pt"), **SMALL)
    torch.save(state, tmp_path / "plain.pt")
    with pytest.raises(ValueError, match=r"plain.pt: .* of another shape"):
        kind(str(tmp_path / "plain.pt"), **SMALL | {"width": 48})


@pytest.mark.parametrize(("kind", "pooling"), [(EAT, "class_tokens"), (PaSST, "class_tokens")])
def test_a_fine_tuned_file_classifies_by_its_class_tokens(kind, pooling, tmp_path):
    published, head = drawn(kind(**SMALL)), drawn(nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 5)))
    names = ("fc_norm", "head") if kind is EAT else ("head.0", "head.1")
    tensors = {
        f"{name}.{key}": value
        for name, layer in zip(names, head, strict=True)
        for key, value in layer.state_dict().items()
    }
    if kind is PaSST:
        tensors |= {"head_dist.weight": torch.zeros(5, 32), "head_dist.bias": torch.zeros(5)}
    torch.save(published.state_dict() | tensors, tmp_path / "tuned.pt")
    back_end = PooledLinear(5, dim=32, pooling=pooling, norm_eps=1e-5)
    network = EncoderClassifier(kind(**SMALL), back_end).load_official(tmp_path / "tuned.pt").eval()
    features = torch.randn(2, 128, 100)
    tokens = published.eval()(features).class_tokens[:, 0].mean(1)
    output = network(features)
    torch.testing.assert_close(output.embedding, tokens)
    torch.testing.assert_close(output.logits, head(tokens))
    torch.save(network.state_dict(), tmp_path / "ours.pt")
    again = EncoderClassifier(kind(**SMALL), PooledLinear(5, dim=32, pooling=pooling, norm_eps=1e-5))
    torch.testing.assert_close(
        again.load_official(tmp_path / "ours.pt").eval()(features).logits, output.logits
    )


@pytest.mark.parametrize("kind", [EAT, PaSST, Dasheng, ASTEncoder])
@pytest.mark.parametrize("choice", ["none", 1, "lora", "all"])
def test_what_trains(kind, choice):
    lora = LoRA(targets=["qkv"], rank=2) if choice == "lora" else None
    network = kind(**SMALL, trainable=choice, lora=lora).train()
    hidden = network(torch.randn(2, 64 if kind is Dasheng else 128, 60))
    loss = hidden.states.square().sum()
    if hidden.class_tokens is not None:
        loss = loss + hidden.class_tokens.square().sum()
    trainable = {name: p for name, p in network.named_parameters() if p.requires_grad}
    if choice == "none":
        assert not trainable
        assert not loss.requires_grad
        return
    loss.backward()
    assert all(p.grad is not None for p in trainable.values())
    if choice == "lora":
        assert sum(p.numel() for p in trainable.values()) == 2 * 2 * (32 + 96)
        assert all(p.grad.any() for name, p in trainable.items() if ".lora_B." in name)
    if choice == 1:
        assert all(".1." in name for name in trainable)


def test_patchout_leaves_out_columns_in_training_alone():
    network = drawn(PaSST(**SMALL, num_columns=40, patchout=20))
    features = torch.randn(2, 128, 406)  # 40 columns
    assert network.train()(features).states.shape == (2, 1, 20, 32)
    assert network.eval()(features).states.shape == (2, 1, 40, 32)
    assert network.train()(features[..., :106]).states.shape == (2, 1, 5, 32)  # of 10


def test_what_patchout_leaves_is_encoded_by_its_own_positions(monkeypatch):
    network = drawn(PaSST(**SMALL, num_columns=4, patchout=1, layers=0, rows="all")).train()
    whole = network.eval()(torch.ones(1, 128, 46)).states[0, 0].view(4, 12, 32)
    monkeypatch.setattr(torch, "randperm", lambda *_, **__: torch.tensor([1, 3, 0, 2]))
    thinned = network.train()(torch.ones(1, 128, 46)).states[0, 0].view(3, 12, 32)
    assert torch.equal(thinned, whole[[0, 2, 3]])


def test_patchout_of_windows_and_of_shorter_clips():
    network = drawn(PaSST(**SMALL, num_columns=5, patchout=2)).train()
    kept = torch.tensor([0, 1, 4])
    network.kept = lambda num_columns: kept  # pyright: ignore[reportAttributeAccessIssue]
    hidden = network(torch.randn(2, 128, 126), torch.tensor([126, 66]))  # 12 and 6 columns: 5, 5, 2; 5, 1
    assert hidden.states.shape == (2, 1, 8, 32)
    assert hidden.length.tolist() == [8, 4]


def test_ast_as_an_encoder_is_ast(tmp_path):
    network = drawn(AST(5, depth=2, embed_dim=32, num_heads=4)).eval()
    torch.save(network.state_dict(), tmp_path / "ast.pth")
    encoder = ASTEncoder(str(tmp_path / "ast.pth"), **SMALL).eval()
    for frames in (100, 1024, 1300):
        features = torch.randn(2, 128, frames)
        hidden = encoder(features)
        torch.testing.assert_close(hidden.class_tokens[:, 0].mean(1), network(features).embedding)
        assert hidden.states.shape == (2, 1, (frames - 16) // 10 + 1, 32)
        assert hidden.length.tolist() == [(frames - 16) // 10 + 1] * 2
    with pytest.raises(ValueError, match=r"clips of 90 to 100 frames in a batch: AST fits its positions"):
        encoder(torch.randn(2, 128, 100), torch.tensor([100, 90]))


def test_rows_of_a_time_step_are_neighbours():
    """A patch of AST and of PaSST stands where its column and row say."""
    for kind in (EAT, PaSST, ASTEncoder):
        network = drawn(kind(**SMALL, layers=0, rows="all")).eval()
        features = torch.randn(1, 128, 66)
        changed = features.clone()
        changed[:, 112:, 32:48] += 1
        difference = (network(changed).states - network(features).states).abs().sum(-1)[0, 0]
        rows = network.num_rows
        moved = {(int(index) // rows, int(index) % rows) for index in difference.nonzero()}
        size = 16 if kind is EAT else 10
        wanted = {
            (column, row)
            for column in range(len(difference) // rows)
            for row in range(rows)
            if size * column < 48 and size * column + 16 > 32 and size * row + 16 > 112
        }
        assert moved == wanted


def test_positions_are_those_of_rows_then_columns():
    table = sinusoids(3, 2, 8)[0]
    assert table[3].tolist() == pytest.approx(
        [0.8414710, 0.0099998, 0.5403023, 0.9999500, 0.8414710, 0.0099998, 0.5403023, 0.9999500], abs=1e-6
    )
    assert table[2, :4].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("kind", [EAT, PaSST, ASTEncoder])
def test_unfit_features_are_refused(kind):
    with pytest.raises(ValueError, match=rf"{kind.__name__} expects \(batch, 128, at least 16\)"):
        kind(**SMALL)(torch.randn(2, 64, 100))
    with pytest.raises(ValueError, match="at least 16"):
        kind(**SMALL)(torch.randn(2, 128, 15))
