import pytest
import torch

from lightning_modules.networks.back_ends import SLS
from lightning_modules.networks.encoders import Hidden


@pytest.fixture
def back_end():
    torch.manual_seed(0)
    return SLS(dim=7, num_layers=3, num_frames=10, hidden_dim=5).double().eval()


def hidden(num_frames: int = 10) -> Hidden:
    generator = torch.Generator().manual_seed(1)
    states = torch.randn(2, 3, num_frames, 7, dtype=torch.float64, generator=generator)
    return Hidden(states, torch.full((2,), num_frames))


def selu(x):
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * (x.clamp(min=0) + alpha * (x.clamp(max=0).exp() - 1))


def test_parameters_are_the_published_ones():
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in SLS().parameters()) == 23_399_429


def test_against_the_dense_formula(back_end):
    given = hidden()
    for clip, layers in enumerate(given.states):
        gates = [
            torch.sigmoid(layer.mean(0) @ back_end.fc0.weight[0] + back_end.fc0.bias) for layer in layers
        ]
        image = selu(sum(g * layer for g, layer in zip(gates, layers, strict=True)) / (1 + 1e-5) ** 0.5)
        pixels = torch.stack([image[t : t + 3, d : d + 3].max() for t in (0, 3, 6) for d in (0, 3)])
        embedding = selu(back_end.fc1.weight @ pixels + back_end.fc1.bias)
        logits = selu(back_end.fc3.weight @ embedding + back_end.fc3.bias)
        output = back_end(given)
        torch.testing.assert_close(output.embedding[clip], embedding, atol=1e-13, rtol=0)
        torch.testing.assert_close(output.logits[clip], logits - logits.exp().sum().log(), atol=1e-13, rtol=0)


@pytest.mark.parametrize("num_frames", [9, 11])
def test_another_length_is_refused_in_one_line(back_end, num_frames):
    with pytest.raises(
        ValueError,
        match=f"^{num_frames} time steps of the encoder: this SLS takes 10 .*num_frames={num_frames}$",
    ) as error:
        back_end(hidden(num_frames))
    assert "\n" not in str(error.value)
