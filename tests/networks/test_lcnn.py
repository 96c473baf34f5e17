import pytest
import torch

from lightning_modules.networks import LCNN
from lightning_modules.networks.lcnn import FlatHead, LSTMSumHead, MaxFeatureMap


@pytest.mark.parametrize(
    ("network", "total"),
    [
        (LCNN(feature_dim=240, num_frames=751), 3_690_545),
        (LCNN(feature_dim=60, num_frames=750), 864_305),
        (LCNN.lstm_sum(feature_dim=60), 269_729),
    ],
)
def test_parameters_are_the_published_ones(network, total):
    assert sum(parameter.numel() for parameter in network.parameters()) == total


def test_trunk_parameters_layer_by_layer():
    sizes = [sum(p.numel() for p in layer.parameters()) for layer in LCNN.lstm_sum().trunk]
    assert [size for size in sizes if size] == [1664, 2112, 27744, 4704, 55424, 8320, 36928, 2112, 18496]


def test_max_feature_map_competes_half_against_half():
    x = torch.tensor([[1.0, 5.0, 3.0, 2.0]])
    assert MaxFeatureMap()(x).tolist() == [[3.0, 5.0]]


@pytest.mark.parametrize(
    ("network", "embedding_dim"), [(LCNN(60, 48), 80), (LCNN.lstm_sum(60), 96), (LCNN.lstm_sum(240), 480)]
)
def test_output_shapes(network, embedding_dim):
    features = torch.randn(2, network.feature_dim, 48)
    embedding, logits = network.eval()(features)
    assert embedding.shape == (2, embedding_dim)
    assert logits.shape == (2, 1)
    torch.testing.assert_close(network(features[:, None]).logits, logits)


def test_flat_head_against_its_formula():
    head, maps = FlatHead(24), torch.randn(2, 2, 3, 4)
    projected = maps.reshape(2, 24) @ head.linear.weight.T + head.linear.bias
    torch.testing.assert_close(head(maps), torch.stack([projected[:, :80], projected[:, 80:]]).amax(0))


def test_lstm_sum_adds_the_frames_to_the_lstm():
    head, maps = LSTMSumHead(6), torch.randn(2, 2, 5, 3)
    for parameter in head.lstm.parameters():
        torch.nn.init.zeros_(parameter)
    expected = maps.mean(dim=2).reshape(2, 6)  # channel first, then feature
    torch.testing.assert_close(head(maps), expected)


def test_every_parameter_gets_a_gradient_in_half_precision():
    network = LCNN.lstm_sum()
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(torch.randn(2, 60, 64)).logits
    logits.float().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize(
    ("network", "shape", "expected"),
    [
        (LCNN(60, 48), (2, 60, 64), r"features \(2, 1, 60, 64\): this LCNN expects \(batch, 1, 60, 48\)"),
        (LCNN(60, 48), (2, 80, 48), r"features \(2, 1, 80, 48\)"),
        (LCNN.lstm_sum(60), (2, 60, 15), r"expects \(batch, 1, 60, at least 16\)"),
    ],
)
def test_unfit_features_are_refused(network, shape, expected):
    with pytest.raises(ValueError, match=expected):
        network(torch.randn(shape))


def test_sizes_that_leave_nothing_are_refused():
    with pytest.raises(ValueError, match="num_frames 15: expected at least 16 of each"):
        LCNN(60, 15)


def test_gradients_of_the_max_feature_map_are_those_of_the_maximum():
    x = torch.randn(2, 6, 3, 4, requires_grad=True)
    weight = torch.randn(2, 3, 3, 4)
    layer = MaxFeatureMap()
    trained = torch.autograd.grad((layer.train()(x) * weight).sum(), x)[0]
    scored = torch.autograd.grad((layer.eval()(x) * weight).sum(), x)[0]
    assert torch.equal(trained, scored)
    equal = torch.ones(1, 2, requires_grad=True)
    assert torch.autograd.grad(layer.train()(equal).sum(), equal)[0].tolist() == [[1.0, 0.0]]
