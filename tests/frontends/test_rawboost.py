import os
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import firwin, freqz
from scipy.stats import kstest

from lightning_modules.frontends.rawboost import RawBoost, cascade, notches


def expected_notch(centre, bandwidth, taps, *, scale=True):
    low, high = max(centre - bandwidth / 2, 1e-3), min(centre + bandwidth / 2, 8000 - 1e-3)
    return np.asarray(firwin(taps, [low, high], window="hamming", fs=16_000, scale=scale))


def expected_cascade(centres, bandwidths, taps):
    filters = np.ones(1)
    for values in zip(centres, bandwidths, taps, strict=True):
        filters = np.convolve(filters, expected_notch(*values))
    return filters / np.abs(freqz(filters)[1]).max()


@pytest.mark.parametrize(
    ("centre", "bandwidth", "taps"), [(1000.0, 500.0, 51), (30.0, 400.0, 99), (7900.0, 300.0, 11)]
)
def test_notch_equals_scipys_window_design(centre, bandwidth, taps):
    values = torch.tensor(centre), torch.tensor(bandwidth), torch.tensor(taps)
    ours = notches(*values, sample_rate=16_000, max_taps=99).numpy()
    reach = (taps - 1) // 2
    assert not ours[: 49 - reach].any()
    assert not ours[50 + reach :].any()
    ours = ours[49 - reach : 50 + reach]
    expected = expected_notch(centre, bandwidth, taps, scale=False)
    np.testing.assert_allclose(ours, expected * np.sign(expected.sum()), atol=1e-6)


def test_batched_cascades_equal_convolution_one_by_one():
    generator = np.random.default_rng(0)
    shape = (200, 5)
    centre, bandwidth = generator.uniform(20, 8000, shape), generator.uniform(100, 1000, shape)
    taps = generator.integers(10, 100, shape) // 2 * 2 + 1
    arguments = [torch.from_numpy(value) for value in (centre, bandwidth, taps)]
    ours = cascade(notches(*arguments, sample_rate=16_000, max_taps=99), torch.full((200,), -6.0).double())
    assert ours.shape == (200, 5 * 98 + 3)
    for row in range(200):
        expected = 10 ** (-6 / 20) * expected_cascade(centre[row], bandwidth[row], taps[row])
        reach = len(expected) // 2
        np.testing.assert_allclose(ours[row, 245 - reach : 246 + reach].numpy(), expected, atol=1e-6)


def test_convolutive_noise_is_the_filtered_powers():
    boost = RawBoost(
        1,
        centre_hz=(1000.0, 1000.0),
        bandwidth_hz=(500.0, 500.0),
        num_taps=(51, 52),
        nonlinear_loss_db=(6.0, 6.0),
    )
    x = torch.rand(2, 3000) * 1.6 - 0.8
    filters = expected_cascade([1000.0] * 5, [500.0] * 5, [51] * 5)
    for row in range(2):
        wave = x[row].double().numpy()
        y = np.zeros(3000)
        for order in range(1, 6):
            gain = 1.0 if order == 1 else 10 ** (-6 / 20)
            full = np.convolve(np.concatenate([wave**order, np.zeros(1)]), gain * filters)
            y += full[126:3126]  # half of 250 taps' delay and one sample more, as officially
        y -= y.mean()
        y /= max(1.0, np.abs(y).max())
        np.testing.assert_allclose(boost(x)[row].numpy(), y, atol=1e-5)


def test_impulsive_noise_hits_a_uniform_share_in_proportion_to_the_amplitude():
    torch.manual_seed(0)
    x = (torch.rand(400, 4000) * 0.3 + 0.01) * torch.randint(0, 2, (400, 4000)).sub(0.5).sign()
    y = RawBoost(2)(x)
    relative = ((y - x) / x).abs()
    share = (relative > 1e-6).float().mean(1)
    assert kstest(share.numpy(), "uniform", args=(0, 0.1)).pvalue > 1e-3
    assert relative.max() <= 2.001
    assert relative[relative > 1e-6].mean().sub(2 * 0.25).abs() < 0.02  # E|u v| = 1/4


def test_stationary_noise_has_a_uniform_snr():
    torch.manual_seed(0)
    x = torch.randn(400, 4000) * 0.1
    noise = RawBoost(3)(x) - x
    snr = 20 * (x.norm(dim=1) / noise.norm(dim=1)).log10()
    assert kstest(snr.numpy(), "uniform", args=(10, 30)).pvalue > 1e-3


@pytest.mark.parametrize("algorithm", range(1, 9))
def test_every_algorithm_follows_the_seed_and_stays_finite(algorithm):
    boost, x = RawBoost(algorithm), torch.rand(3, 1, 2000) * 2 - 1
    torch.manual_seed(2)
    y = boost(x)
    torch.manual_seed(2)
    assert torch.equal(boost(x), y)
    assert y.shape == x.shape
    assert y.isfinite().all()
    assert not torch.allclose(y, x, atol=1e-4)
    if algorithm in {1, 2, 5, 8}:
        assert y.abs().max() <= 1
    assert boost.eval()(x) is x


def test_silence_stays_finite():
    for algorithm in range(1, 9):
        assert RawBoost(algorithm)(torch.zeros(2, 500)).isfinite().all()


def test_bf16_autocast_changes_nothing():
    boost, x = RawBoost(4), torch.rand(2, 2000) - 0.5
    torch.manual_seed(0)
    expected = boost(x)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(boost(x), expected)


def test_unknown_algorithm_is_refused():
    with pytest.raises(ValueError, match="algorithm=9"):
        RawBoost(9)


@pytest.fixture
def official():
    """The official functions, as numpy 2 can run them: it turns no array of one element into a number."""
    folder = os.environ.get("RAWBOOST_REFERENCE")
    if not folder:
        pytest.skip("RAWBOOST_REFERENCE, a clone of TakHemlata/RawBoost-antispoofing, is not set")
    source = Path(folder, "RawBoost.py").read_text()
    for old, new in (("int(y)", "int(y[0])"), ("(beta/100)", "(beta[0]/100)"), ("float(f", "np.sum(f")):
        assert old in source
        source = source.replace(old, new)
    module = types.ModuleType("rawboost")
    exec(source, module.__dict__)
    np.random.seed(0)  # noqa: NPY002
    notch = (5, 20, 8000, 100, 1000, 10, 100, 0, 0)
    return {
        1: lambda x: module.LnL_convolutive_noise(x, 5, *notch, 5, 20, 16_000),
        2: lambda x: module.ISD_additive_noise(x, 10, 2),
        3: lambda x: module.SSI_additive_noise(x, 10, 40, *notch, 16_000),
    }


@pytest.mark.parametrize("algorithm", [1, 2, 3])
def test_distribution_equals_the_official_one(official, algorithm):
    generator = np.random.default_rng(1)
    x = 0.8 * np.sin(np.arange(4000) / 9) * generator.uniform(-1, 1, 4000)
    torch.manual_seed(0)
    ours = RawBoost(algorithm)(torch.from_numpy(x).float().expand(400, -1)).double().numpy()
    theirs = np.stack([official[algorithm](x) for _ in range(400)])

    def spectrum(y):
        return 10 * np.log10(np.square(np.abs(np.fft.rfft(y, axis=1))).reshape(400, -1)[:, 1:2001]).reshape(
            400, 20, 100
        )

    statistics = {
        "energy": lambda y: np.square(y).sum(1),
        "change": lambda y: np.log(np.square(y - x).sum(1)),
        "kurtosis": lambda y: (y**4).mean(1) / np.square(np.square(y).mean(1)),
        "low": lambda y: spectrum(y).mean(2)[:, 1],
        "middle": lambda y: spectrum(y).mean(2)[:, 10],
        "high": lambda y: spectrum(y).mean(2)[:, 18],
    }
    for name, statistic in statistics.items():
        assert kstest(statistic(ours), statistic(theirs)).pvalue > 1e-3, name
