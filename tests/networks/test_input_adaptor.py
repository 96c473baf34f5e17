import pytest
import torch
from scipy import stats
from torch import nn

from lightning_modules.networks import InputAdaptor, NoiseAdaptor


def test_equals_the_formula():
    """Out(j) = in(j) + lambda * (b(j) + sum over k of the cross-correlation of W(j, k) and in(k))."""
    adaptor = InputAdaptor(0.2, channels=2).double()
    weights, biases = (adaptor.get_parameter(name).detach() for name in ("conv.weight", "conv.bias"))
    x = torch.randn(3, 2, 6, 7, dtype=torch.double)
    with torch.no_grad():
        adapted = adaptor(x)
    padded = nn.functional.pad(x, (1, 1, 1, 1))
    for j in range(2):
        total = biases[j] + torch.zeros(3, 6, 7, dtype=torch.double)
        for k in range(2):
            for row in range(3):
                for column in range(3):
                    total += weights[j, k, row, column] * padded[:, k, row : row + 6, column : column + 7]
        torch.testing.assert_close(adapted[:, j], x[:, j] + 0.2 * total)


def test_no_strength_changes_no_bit():
    x = torch.randn(2, 1, 8, 9)
    assert torch.equal(InputAdaptor(0.0)(x), x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(InputAdaptor(0.0)(x), x)
        assert InputAdaptor()(x).dtype == torch.float32


def test_one_channel_has_ten_parameters():
    assert sum(parameter.numel() for parameter in InputAdaptor().parameters()) == 10


@pytest.mark.parametrize(("distribution", "expected"), [("gaussian", stats.norm), ("laplace", stats.laplace)])
def test_noise_is_of_its_distribution(distribution, expected):
    torch.manual_seed(0)
    x = torch.full((1, 1, 100, 200), 3.0, dtype=torch.double)
    noise = NoiseAdaptor(0.5, distribution=distribution)(x) - x
    assert stats.kstest(noise.flatten().numpy(), expected(scale=0.5).cdf).pvalue > 0.01


def test_noise_is_for_training_unless_asked():
    x = torch.randn(1, 1, 4, 5)
    assert torch.equal(NoiseAdaptor().eval()(x), x)
    assert not torch.equal(NoiseAdaptor(in_evaluation=True).eval()(x), x)


@pytest.mark.parametrize("distribution", ["gaussian", "laplace"])
def test_noise_in_evaluation_is_the_same_for_all_clips(distribution):
    adaptor = NoiseAdaptor(0.5, distribution=distribution, in_evaluation=True).eval()
    x = torch.randn(3, 1, 4, 5)
    together = adaptor(x)
    assert torch.equal(torch.cat([adaptor(clip) for clip in x.split(1)]), together)
    assert (together - x).std() > 0.1


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="kernel_size=4: expected an odd number"):
        InputAdaptor(kernel_size=4)
    with pytest.raises(ValueError, match="distribution='uniform': expected gaussian or laplace"):
        NoiseAdaptor(distribution="uniform")  # pyright: ignore[reportArgumentType]
