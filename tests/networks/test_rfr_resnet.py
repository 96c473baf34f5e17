import pytest
import torch
from torch import nn

from lightning_modules.networks import RFRResNet


@pytest.mark.parametrize(
    ("settings", "total"),
    [
        ({}, 530_626),
        ({"blocks": (4, 4, 4)}, 894_658),
        ({"receptive_field": "very_small"}, 432_322),
        ({"receptive_field": "a_bit_smaller"}, 497_858),
        ({"receptive_field": "a_bit_larger"}, 563_394),
        ({"channels": 128}, 2_109_826),
        ({"channels": 128, "receptive_field": "a_bit_larger"}, 2_240_898),
    ],
)
def test_parameters_are_the_published_ones(settings, total):
    assert sum(parameter.numel() for parameter in RFRResNet(**settings).parameters()) == total


@pytest.mark.parametrize(
    ("receptive_field", "size"),
    [("very_small", 47), ("a_bit_smaller", 71), ("normal", 87), ("a_bit_larger", 103)],
)
def test_receptive_field_is_the_published_one(receptive_field, size):
    """With positive weights and average instead of maximum pooling, every cell that can matter does."""
    network = RFRResNet(channels=2, receptive_field=receptive_field).double().eval()
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 0.1)
        if isinstance(layer, nn.MaxPool2d):
            network.set_submodule(name, nn.AvgPool2d(2))
    maps = []
    network.stage3.register_forward_hook(lambda module, args, output: maps.append(output))
    spectrogram = torch.ones(1, 1, 256, 272, dtype=torch.double, requires_grad=True)
    network(spectrogram)
    _, _, height, width = maps[0].shape
    (gradient,) = torch.autograd.grad(maps[0][0, 0, height // 2, width // 2], spectrogram)
    rows, columns = gradient[0, 0].nonzero(as_tuple=True)
    sizes = [int(places.max() - places.min()) + 1 for places in (rows, columns)]
    assert sizes == [size] * 2


def test_maps_have_the_published_sizes():
    network, sizes = RFRResNet(), []
    for layer in (network.input_conv, *network.stage1, network.stage3):
        layer.register_forward_hook(lambda module, args, output: sizes.append(tuple(output.shape[1:])))
    network(torch.randn(2, 128, 256))
    assert sizes == [
        (64, 63, 127), (64, 63, 127), (64, 31, 63), (64, 31, 63), (64, 15, 31), (64, 15, 31), (64, 15, 31),
        (64, 7, 15), (256, 7, 15),
    ]  # fmt: skip


def test_initialization_is_fixup():
    network = RFRResNet(channels=32, num_classes=3)
    assert network(torch.randn(2, 128, 256)).logits.abs().max() == 0
    assert network.input_conv.weight.std().item() == pytest.approx((2 / 25) ** 0.5, rel=0.1)
    for stage, kernel, channels in ((network.stage1, 3, 32), (network.stage2, 1, 64)):
        block, expected = stage[0], (2 / (kernel**2 * channels)) ** 0.5
        assert block.get_parameter("conv1.weight").std().item() == pytest.approx(expected / 7**0.5, rel=0.1)
        assert not block.get_parameter("conv2.weight").any()
    shortcut = network.stage2[0].get_parameter("shortcut.0.weight")
    assert shortcut.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.1)


def test_logits_classify_the_embedding_in_evaluation():
    """There the batch norm is affine, and averages may come before or after it."""
    network = randomized(RFRResNet(channels=8, num_classes=3)).eval()
    embedding, logits = network(torch.randn(2, 40, 50, dtype=torch.double))
    assert embedding.shape == (2, network.embedding_dim)
    maps = network.classifier(embedding[:, :, None, None])
    torch.testing.assert_close(logits, network.classifier_bn(maps)[:, :, 0, 0])


def test_training_normalizes_logits_over_cells():
    """A batch norm before the average: the mean of the logits is its bias, their spread is that of averages."""
    network = randomized(RFRResNet(channels=8)).train()
    network.classifier_bn.reset_parameters()
    cells = []
    network.classifier.register_forward_hook(lambda module, args, output: cells.append(output))
    logits = network(torch.randn(3, 40, 50, dtype=torch.double)).logits
    expected = (cells[0] - cells[0].mean()) / (cells[0].var(correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(logits, expected.mean(dim=(2, 3)))


def test_channel_axis_is_optional_and_every_parameter_gets_a_gradient_in_half_precision():
    network = randomized(RFRResNet(channels=8), torch.float32)
    spectrogram = torch.randn(2, 33, 47)
    with torch.autocast("cpu", torch.bfloat16):
        embedding, logits = network(spectrogram)
        assert torch.equal(network(spectrogram[:, None]).logits, logits)
    assert embedding.dtype == logits.dtype == torch.float32
    (embedding.sum() + logits.square().sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize(("blocks", "smallest"), [((4, 1, 2), 17), ((3, 1, 1), 9), ((1, 1, 1), 5)])
def test_smallest_input(blocks, smallest):
    network = RFRResNet(channels=4, blocks=blocks)
    network(torch.randn(2, smallest, smallest))
    with pytest.raises(
        ValueError, match=rf"\(2, 1, {smallest}, {smallest - 1}\).* at least {smallest} of each"
    ):
        network(torch.randn(2, smallest, smallest - 1))


@pytest.mark.parametrize("shape", [(2, 2, 64, 64), (64, 64), (2, 1, 1, 64, 64)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"this RFRResNet expects \(batch, 1, mel, frame\)"):
        RFRResNet(channels=4)(torch.randn(shape))


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match=r"blocks=\(5, 1, 2\): expected three counts"):
        RFRResNet(blocks=(5, 1, 2))
    with pytest.raises(ValueError, match="receptive_field='huge' must be one of very_small, a_bit_smaller"):
        RFRResNet(receptive_field="huge")  # pyright: ignore[reportArgumentType]


def randomized(network, dtype=torch.double):
    """Weights without the zeros of the initialization."""
    for parameter in network.to(dtype).parameters():
        nn.init.normal_(parameter, 0.1, 0.2)
    return network
