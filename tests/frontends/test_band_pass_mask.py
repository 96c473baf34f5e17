import numpy as np
import pytest
import torch
from scipy.signal import lfilter, remez
from scipy.stats import kstest

from lightning_modules.frontends import band_pass_mask
from lightning_modules.frontends.band_pass_mask import BandPassMask


def gains(filters, frequency):
    """Magnitude of each filter (batch, taps) at its own frequencies (batch, point) in Hz."""
    n = torch.arange(filters.shape[-1]).double()
    phase = torch.exp(-2j * torch.pi * frequency.double().unsqueeze(-1) / 16_000 * n)
    return torch.einsum("bpn,bn->bp", phase, filters.double().cfloat().to(phase.dtype)).abs()


def test_two_thousand_draws_have_no_outlier():
    torch.manual_seed(0)
    mask = BandPassMask()
    f_min = torch.cat([torch.tensor([160.0, 5840.0]), mask.draw(1998)])
    filters = mask.filters(f_min)
    size = 8192
    frequency = torch.fft.rfftfreq(size, 1 / 16_000)
    gain = torch.fft.rfft(filters.double(), size).abs()
    low = f_min.unsqueeze(-1)
    passing = (frequency >= low) & (frequency <= low + 2000)
    stopping = (frequency <= low - 160) | (frequency >= low + 2160)
    edges = gains(filters, torch.stack([f_min, f_min + 2000, f_min - 160, f_min + 2160], dim=-1))
    in_pass = torch.cat([gain[passing], edges[:, :2].flatten()])
    in_stop = torch.cat([gain[stopping], edges[:, 2:].flatten()])
    assert (20 * in_pass.log10()).abs().max() < 0.2
    assert 20 * in_stop.max().log10() < -35
    assert gain.max() < 1.1


@pytest.mark.parametrize("f_min", [160.0, 1234.5, 5840.0])
def test_stays_within_ripple_of_the_papers_direct_design(f_min):
    bands = [0, f_min - 160, f_min, f_min + 2000, f_min + 2160, 8000]
    direct = remez(201, bands, [0, 1, 0], fs=16_000, maxiter=200, grid_density=32)
    ours = BandPassMask().filters(torch.tensor([f_min]))[0].double()
    frequency = torch.linspace(0, 8000, 4001).unsqueeze(0)
    inside = (
        (frequency <= bands[1]) | (frequency >= bands[4]) | (frequency >= bands[2]) & (frequency <= bands[3])
    )[0]
    difference = (
        gains(ours.unsqueeze(0), frequency)[0] - gains(torch.from_numpy(direct).unsqueeze(0), frequency)[0]
    )
    assert difference[inside].abs().max() < 0.035


def test_mask_equals_scipy_in_float64():
    mask, waveform = BandPassMask(), torch.randn(4, 5000)
    torch.manual_seed(3)
    masked = mask(waveform)
    torch.manual_seed(3)
    filters = mask.filters(mask.draw(4)).double().numpy()
    padded = np.pad(waveform.double().numpy(), [(0, 0), (0, 100)])
    expected = np.stack([lfilter(h, 1, x)[100:] for h, x in zip(filters, padded, strict=True)])
    np.testing.assert_allclose(masked.numpy(), expected, atol=2e-5)


def test_impulse_stays_where_it_was():
    waveform = torch.zeros(8, 1001)
    waveform[:, 500] = 1
    masked = BandPassMask()(waveform)
    torch.testing.assert_close(masked, masked.flip(-1), atol=1e-6, rtol=0)
    assert (masked.abs().argmax(-1) == 500).all()


def test_noise_keeps_only_one_band_of_its_energy():
    torch.manual_seed(0)
    masked = BandPassMask()(torch.randn(16, 64_000))
    power = (
        torch.stft(masked, 1024, window=torch.hann_window(1024), return_complex=True).abs().square().mean(-1)
    )
    share = power / power.sum(-1, keepdim=True)
    bins = (
        share.unfold(-1, round(2320 / 15.625) + 4, 1).sum(-1).amax(-1)
    )  # best window of 2 kHz and transitions
    assert (bins > 0.998).all()
    assert masked.var(-1).sub(2000 / 8000).abs().max() < 0.03


def test_every_sample_has_its_own_band_and_its_channels_share_it():
    torch.manual_seed(0)
    waveform = torch.randn(4, 1, 4000).expand(4, 3, 4000)
    masked = BandPassMask()(waveform)
    assert masked.shape == waveform.shape
    torch.testing.assert_close(masked[:, 0], masked[:, 2])
    same = torch.randn(1, 4000).expand(2, -1)
    first, second = BandPassMask()(same)
    assert not torch.allclose(first, second, atol=1e-2)


def test_draws_are_uniform_over_the_papers_range_and_follow_the_seed():
    mask = BandPassMask()
    torch.manual_seed(7)
    f_min = mask.draw(2000)
    assert kstest(f_min.numpy(), "uniform", args=(160, 5680)).pvalue > 1e-3
    torch.manual_seed(7)
    torch.testing.assert_close(mask.draw(2000), f_min, rtol=0, atol=0)


def test_bf16_autocast_changes_nothing():
    mask, waveform = BandPassMask(), torch.randn(2, 3000)
    torch.manual_seed(0)
    expected = mask(waveform)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(mask(waveform), expected, rtol=0, atol=0)


def test_leaves_nothing_in_checkpoints():
    assert not BandPassMask().state_dict()


@pytest.mark.parametrize("num_taps", [63, 101, 129, 255, 301])
def test_other_lengths_converge(num_taps):
    mask = BandPassMask(num_taps)
    gain = gains(mask.filters(torch.tensor([3000.0])), torch.tensor([[4000.0]]))
    assert gain.sub(1).abs() < 0.3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_taps": 200}, "num_taps=200 must be odd"),
        ({"bandwidth_hz": 7900.0}, "bandwidth_hz=7900 .* 8000 Hz"),
    ],
)
def test_impossible_filters_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BandPassMask(**arguments)


def test_design_that_did_not_converge_is_refused(monkeypatch):
    def diverged(num_taps, *args, **kwargs):
        return 1.7 * remez(num_taps, *args, **kwargs)

    monkeypatch.setattr(band_pass_mask, "remez", diverged)
    with pytest.raises(ValueError, match=r"num_taps=201.*did not converge"):
        BandPassMask()
