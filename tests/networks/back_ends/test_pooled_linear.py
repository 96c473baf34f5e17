import pytest
import torch

from lightning_modules.networks.back_ends import PooledLinear
from lightning_modules.networks.encoders import Hidden

LENGTH = torch.tensor([7, 3])


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def hidden(*, num_layers: int = 1, class_tokens: int = 0) -> Hidden:
    tokens = torch.randn(2, num_layers, class_tokens, 6, dtype=torch.float64) if class_tokens else None
    return Hidden(torch.randn(2, num_layers, 7, 6, dtype=torch.float64), LENGTH, tokens)


def test_mean_is_over_what_is_heard():
    back_end, given = PooledLinear(3, dim=6).double(), hidden()
    embedding, logits = back_end(given)
    expected = torch.stack([given.states[0, 0].mean(0), given.states[1, 0, :3].mean(0)])
    torch.testing.assert_close(embedding, expected, atol=1e-14, rtol=0)
    torch.testing.assert_close(
        logits, expected @ back_end.proj_fc.weight.T + back_end.proj_fc.bias, atol=1e-14, rtol=0
    )


def test_layers_are_summed_by_learnt_weights():
    back_end, given = PooledLinear(dim=6, num_layers=3).double(), hidden(num_layers=3)
    torch.testing.assert_close(back_end(given).embedding[0], given.states[0].mean((0, 1)), atol=1e-14, rtol=0)
    weight = back_end.layer_sum.weight
    assert weight is not None
    torch.nn.init.normal_(weight)
    share = weight.exp() / weight.exp().sum()
    expected = sum(share[layer] * given.states[1, layer, :3].mean(0) for layer in range(3))
    torch.testing.assert_close(back_end(given).embedding[1], expected, atol=1e-14, rtol=0)


def test_a_single_layer_has_no_weight():
    assert [name for name, _ in PooledLinear().named_parameters()] == ["proj_fc.weight", "proj_fc.bias"]


def test_class_tokens_are_averaged():
    back_end = PooledLinear(dim=6, num_layers=2, pooling="class_tokens").double()
    given = hidden(num_layers=2, class_tokens=2)
    assert given.class_tokens is not None
    torch.testing.assert_close(back_end(given).embedding, given.class_tokens.mean((1, 2)))
    with pytest.raises(ValueError, match=r"gives none of width 6: pool by back_end\.init_args\.pooling=mean"):
        back_end(hidden(num_layers=2))


def test_attentive_statistics_weigh_what_is_heard():
    back_end, given = PooledLinear(dim=6, pooling="attentive_statistics").double(), hidden()
    assert back_end.embedding_dim == 12
    assert back_end.proj_fc.in_features == 12
    pool = back_end.statistics
    assert pool is not None

    def dense(layer, x):
        return x @ layer.weight[..., 0].T + layer.bias

    for clip, steps in enumerate(LENGTH):
        x = given.states[clip, 0, :steps]
        weight = dense(pool.linear2, torch.tanh(dense(pool.linear1, x))).exp()
        weight = weight / weight.sum(0)
        mean = (weight * x).sum(0)
        deviation = (weight * (x - mean) ** 2).sum(0).sqrt()
        torch.testing.assert_close(
            back_end(given).embedding[clip], torch.cat([mean, deviation]), atol=1e-13, rtol=0
        )


@pytest.mark.parametrize("pooling", ["mean", "attentive_statistics"])
def test_padding_changes_nothing(pooling):
    back_end = PooledLinear(dim=6, pooling=pooling).double()
    given = hidden()
    other = given._replace(states=given.states.clone())
    other.states[1, :, 3:] = 1e9
    assert torch.equal(back_end(other).logits, back_end(given).logits)


def test_half_precision_ties_no_scores():
    back_end = PooledLinear(dim=6)
    given = hidden()._replace(states=torch.randn(2, 1, 7, 6))
    with torch.autocast("cpu", torch.bfloat16):
        assert back_end(given).logits.dtype == torch.float32
