import pytest
import torch

from lightning_modules.networks.back_ends import MHFA
from lightning_modules.networks.encoders import Hidden

LENGTH = torch.tensor([9, 4])


@pytest.fixture
def back_end():
    torch.manual_seed(0)
    back_end = MHFA(dim=6, num_layers=3, num_heads=2, compression_dim=5, embedding_dim=4).double().eval()
    torch.nn.init.normal_(back_end.weights_k)
    torch.nn.init.normal_(back_end.weights_v)
    return back_end


@pytest.fixture
def hidden():
    generator = torch.Generator().manual_seed(1)
    return Hidden(torch.randn(2, 3, 9, 6, dtype=torch.float64, generator=generator), LENGTH)


@pytest.mark.parametrize(
    ("settings", "total"),
    [({}, 460_322), ({"num_heads": 32, "dim": 1024, "num_layers": 25}, 1_315_410)],
)
def test_parameters_of_the_pooling_are_the_published_ones(settings, total):
    with torch.device("meta"):
        back_end = MHFA(**settings)
    own = [value for name, value in back_end.named_parameters() if not name.startswith("projection.")]
    assert sum(value.numel() for value in own) == total


def test_against_the_dense_formula(back_end, hidden):
    def linear(layer, x):
        return x @ layer.weight.T + layer.bias

    for clip, length in enumerate(LENGTH):
        states = hidden.states[clip, :, :length]
        key, value = (
            linear(layer, (weight.softmax(0)[:, None, None] * states).sum(0))
            for weight, layer in (
                (back_end.weights_k, back_end.cmp_linear_k),
                (back_end.weights_v, back_end.cmp_linear_v),
            )
        )
        attention = linear(back_end.att_head, key).exp()
        heads = [(a / a.sum()) @ value for a in attention.T]
        embedding = linear(back_end.pooling_fc, torch.cat(heads))
        output = back_end(hidden)
        torch.testing.assert_close(output.embedding[clip], embedding, atol=1e-13, rtol=0)
        logits = linear(back_end.projection.trans[2], (embedding / (1 + 1e-5) ** 0.5).relu())
        torch.testing.assert_close(output.logits[clip], logits, atol=1e-13, rtol=0)


def test_padding_changes_nothing(back_end, hidden):
    other = hidden._replace(states=hidden.states.clone())
    other.states[1, :, 4:] = 1e6
    assert torch.equal(back_end(other).logits, back_end(hidden).logits)


def test_reset_classifier_keeps_the_rest(back_end):
    before = dict(back_end.named_parameters())
    back_end.reset_classifier(5)
    assert back_end.num_classes == 5
    new = {name for name, each in back_end.named_parameters() if each is not before[name]}
    assert new == {"projection.trans.2.weight", "projection.trans.2.bias"}
