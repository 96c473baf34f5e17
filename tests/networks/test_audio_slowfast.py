import logging

import pytest
import torch
from torch import nn

from lightning_modules.networks import AudioSlowFast

EPIC = {"verb": 97, "noun": 300}


@pytest.fixture(scope="module")
def network() -> AudioSlowFast:
    torch.manual_seed(0)
    network = AudioSlowFast(5, input_size=(128, 64)).eval()
    for parameter in network.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 0.5, 0.2)
    return network


@pytest.mark.parametrize(
    ("settings", "tensors", "total"),
    [({"num_classes": 309}, 662, 26_679_453), ({"num_classes": 397, "heads": EPIC}, 664, 26_882_293)],
)
def test_parameters_are_the_published_ones(settings, tensors, total):
    with torch.device("meta"):
        network = AudioSlowFast(**settings)
    assert len(network.state_dict()) == tensors
    assert sum(parameter.numel() for parameter in network.parameters()) == total


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("s1.pathway0_stem.conv.weight", (64, 1, 1, 7)),
        ("s1.pathway1_stem.conv.weight", (8, 1, 5, 7)),
        ("s1_fuse.conv_f2s.weight", (16, 8, 7, 1)),
        ("s2.pathway0_res0.branch1.weight", (256, 80, 1, 1)),
        ("s2.pathway0_res0.branch2.a.weight", (64, 80, 1, 1)),
        ("s2.pathway1_res2.branch2.a.weight", (8, 32, 3, 1)),
        ("s3.pathway0_res0.branch2.a.weight", (128, 320, 1, 1)),
        ("s3.pathway0_res3.branch2.b.weight", (128, 128, 1, 3)),
        ("s4_fuse.bn.running_var", (256,)),
        ("s4.pathway0_res5.branch2.a.weight", (256, 1024, 3, 1)),
        ("s5.pathway0_res0.branch1.weight", (2048, 1280, 1, 1)),
        ("s5.pathway1_res2.branch2.c.weight", (256, 64, 1, 1)),
        ("head.projection_verb.weight", (97, 2304)),
        ("head.projection_noun.bias", (300,)),
    ],
)
def test_layers_have_the_published_names_and_shapes(name, shape):
    with torch.device("meta"):
        assert tuple(AudioSlowFast(397, heads=EPIC).state_dict()[name].shape) == shape


def test_maps_have_the_published_sizes(network):
    slow, fast = network._maps(torch.randn(1, 1, 64, 128))
    assert slow.shape == (1, 2048, 4, 4)
    assert fast.shape == (1, 256, 16, 4)


def test_slow_pathway_sees_frames_from_first_to_last(network):
    seen = []
    hook = network.s1["pathway0_stem"].register_forward_pre_hook(lambda layer, args: seen.append(args[0]))
    network(torch.arange(64.0).expand(1, 128, -1))
    hook.remove()
    expected = [0, 4, 8, 12, 16, 21, 25, 29, 33, 37, 42, 46, 50, 54, 58, 63]
    assert seen[0][0, 0, :, 0].tolist() == expected


def test_logits_of_a_window_classify_the_embedding(network):
    embedding, logits = network(torch.randn(2, 128, 64))
    assert embedding.shape == (2, network.embedding_dim) == (2, 2304)
    torch.testing.assert_close(logits, network.head["projection"](embedding))


def test_longer_clips_average_the_probabilities_of_their_windows():
    network = AudioSlowFast(5, input_size=(128, 64), heads={"verb": 2, "noun": 3}).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0.1 if parameter.ndim == 1 else 0, 0.2)
    slow, fast = torch.randn(2, 2048, 8, 4), torch.randn(2, 256, 32, 4)  # of 128 frames
    windows = network._pool(slow, fast)
    probabilities = {"verb": [], "noun": []}
    for first in range(5):
        pooled = [slow[:, :, first : first + 4], fast[:, :, 4 * first : 4 * first + 16]]
        embedding = torch.cat([maps.mean(dim=(2, 3)) for maps in pooled], dim=1)
        for name, values in probabilities.items():
            values.append(network.head[f"projection_{name}"](embedding).softmax(dim=1))
    for name, values in probabilities.items():
        logits = network._classify(windows, network.head[f"projection_{name}"])
        torch.testing.assert_close(logits.softmax(dim=1), torch.stack(values).mean(dim=0))
    verb, noun = network(torch.randn(1, 128, 128)).logits.exp().split([2, 3], dim=1)
    torch.testing.assert_close(torch.stack([verb.sum(), noun.sum()]), torch.ones(2))


@pytest.mark.parametrize("num_frames", [*range(4, 36), 62, 65, 100])
def test_any_length(network, num_frames):
    output = network(torch.randn(1, 128, num_frames))
    assert output.logits.shape == (1, 5)
    assert output.logits.isfinite().all()


def test_up_to_three_frames_too_many_are_cut(network):
    features = torch.randn(1, 128, 51)
    torch.testing.assert_close(network(features), network(features[:, :, :48]))


def test_blocks_start_as_their_skip_and_convolutions_as_published():
    network = AudioSlowFast(3)
    weights = network.state_dict()
    assert all(not value.any() for name, value in weights.items() if name.endswith("c_bn.weight"))
    conv = weights["s4.pathway0_res1.branch2.a.weight"]  # 3 x 1, 256 channels out
    assert conv.std().item() == pytest.approx((2 / (3 * 256)) ** 0.5, rel=0.02)
    assert weights["head.projection.weight"].std().item() == pytest.approx(0.01, rel=0.05)


def test_published_checkpoints_load_and_a_head_for_other_classes_stays(tmp_path, caplog, network):
    contents = {
        "epoch": 3,
        "cfg": "text",
        "optimizer_state": {"lr": 0.1},
        "model_state": network.state_dict(),
    }
    torch.save(contents, tmp_path / "asf.pyth")
    ours = AudioSlowFast(5, input_size=(128, 64)).eval()
    with caplog.at_level(logging.INFO):
        assert ours.load_official(tmp_path / "asf.pyth") is ours
    features = torch.randn(1, 128, 64)
    torch.testing.assert_close(ours(features), network(features))
    assert "AudioSlowFast: loaded 662 tensors" in caplog.text
    epic = AudioSlowFast(5, heads={"verb": 2, "noun": 3}).load_official(tmp_path / "asf.pyth")
    assert "the head stays as initialized" in caplog.text
    assert "head.projection.weight (5, 2304)" in caplog.text
    assert torch.equal(epic.get_parameter("s1_fuse.bn.weight"), network.get_parameter("s1_fuse.bn.weight"))
    torch.save({"model_state": {"a": torch.zeros(1)}}, tmp_path / "other.pyth")
    with pytest.raises(ValueError, match=r"other.pyth: weights of another model .* 1 unexpected \(a\)"):
        ours.load_official(tmp_path / "other.pyth")


def test_frozen_batch_norms_keep_their_statistics_from_the_start():
    network = AudioSlowFast(5, input_size=(128, 32), freeze_batch_norm=True)
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(torch.randn(2, 128, 32))
    changed = {name for name, value in network.named_buffers() if not torch.equal(value, before[name])}
    assert {name.split(".")[0] for name in changed} == {"s1", "s1_fuse"}
    assert len(changed) == 9


def test_half_precision_is_close_and_every_parameter_gets_a_gradient(network):
    features = torch.randn(2, 128, 64)
    plain = network(features).logits
    with torch.autocast("cpu", torch.bfloat16):
        output = network(features)
    assert output.embedding.dtype == output.logits.dtype == torch.float32
    torch.testing.assert_close(output.logits.softmax(dim=1), plain.softmax(dim=1), atol=0.05, rtol=0)
    output.logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_unfit_features_and_heads_are_refused(network):
    for shape in ((2, 64, 100), (2, 128, 3)):
        with pytest.raises(ValueError, match=r"this AudioSlowFast expects \(batch, 128, at least 4\)"):
            network(torch.randn(shape))
    with pytest.raises(ValueError, match=r"heads=\{'verb': 97, 'noun': 300\}: expected num_classes=309"):
        AudioSlowFast(heads=EPIC)
