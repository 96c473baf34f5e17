import pytest
import torch
from torch import nn

from lightning_modules.frontends import NMF, NMU, NNE
from lightning_modules.frontends import extractor as base

BINS, ATOMS = 12, 3
MAKERS = {
    "nmf": lambda: NMF(BINS, num_atoms=ATOMS),
    "nmu": lambda: NMU(BINS, num_atoms=ATOMS),
    "nmu_exact": lambda: NMU(BINS, num_atoms=ATOMS, exact=True),
    "nne": lambda: NNE(BINS, num_atoms=ATOMS, num_iterations=50),  # of all frames, whatever rounding says
    "nne_stops": lambda: NNE(BINS, num_atoms=ATOMS, tolerance=0.1),
}


def spectrograms(batch=4, frames=30, seed=0):
    """Sums of three spectra, and a tone moving up."""
    generator = torch.Generator().manual_seed(seed)
    atoms = torch.rand(BINS, ATOMS, generator=torch.Generator().manual_seed(9)) ** 3
    X = atoms @ torch.rand(batch, ATOMS, frames, generator=generator) + 0.01
    tone = torch.arange(frames) % BINS
    X[:, tone, torch.arange(frames)] += 0.5
    return X


@pytest.fixture(params=MAKERS)
def extractor(request):
    module = MAKERS[request.param]()
    module.fit(spectrograms(batch=8, seed=1))
    return module


def test_what_is_left_is_nonnegative_and_less(extractor):
    X = spectrograms()
    R = extractor(X)
    assert R.shape == X.shape
    assert R.dtype == torch.float32
    assert R.is_contiguous()
    assert (R >= 0).all()
    assert 0 < R.norm() < X.norm()


def test_extraction_keeps_the_tone_better_than_the_rest(extractor):
    X = spectrograms()
    share = extractor(X) / X
    tone = torch.zeros(BINS, 30, dtype=torch.bool)
    tone[torch.arange(30) % BINS, torch.arange(30)] = True
    assert share[:, tone].mean() > 1.3 * share[:, ~tone].mean()


@pytest.mark.parametrize("scale", [1e-12, 1e-4, 3e5])
def test_level_does_not_matter(extractor, scale):
    X = spectrograms()
    torch.testing.assert_close(extractor(scale * X) / scale, extractor(X), rtol=1e-3, atol=1e-5)


def test_clips_do_not_depend_on_their_neighbours(extractor, monkeypatch):
    X = spectrograms()
    loud = torch.cat([X[:1], 1e4 * X[1:]])
    together = extractor(loud)
    torch.testing.assert_close(together[:1], extractor(X[:1]))
    monkeypatch.setattr(base, "_CPU_BLOCK", 7)
    torch.testing.assert_close(extractor(loud), together, rtol=1e-3, atol=1e-2)


def test_silence_and_padding_stay_silent(extractor):
    X = spectrograms()
    X[0] = 0
    X[1, :, 20:] = 0
    R = extractor(X)
    assert not R[0].any()
    assert not R[1, :, 20:].any()
    torch.testing.assert_close(R[1, :, :20], extractor(X[1:2, :, :20])[0])


def test_half_precision_regions_stay_in_float32(extractor):
    X = spectrograms()
    with torch.autocast("cpu", torch.bfloat16):
        R = extractor(X)
    assert torch.equal(R, extractor(X))


def test_half_precision_weights_compute_in_float32(extractor):
    R = extractor.to(torch.bfloat16)(spectrograms())
    assert R.dtype == torch.float32
    assert R.isfinite().all()


def test_double_precision(extractor):
    X = spectrograms()
    single = extractor(X)
    double = extractor.double()(X)
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, rtol=1e-3, atol=1e-5)


def test_what_follows_can_be_trained(extractor):
    layer = nn.Linear(BINS, 1)
    layer(extractor(spectrograms().requires_grad_()).mT).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.norm() > 0


def test_atoms_travel_in_the_state(extractor):
    other = NMU(BINS, num_atoms=ATOMS)
    other.load_state_dict(extractor.state_dict())
    assert other.is_fitted
    assert torch.equal(other.W, extractor.W)


@pytest.mark.parametrize(
    ("value", "found"), [(torch.nan, "from nan to nan"), (-0.5, "from -0.5 to"), (torch.inf, "to inf")]
)
def test_what_is_no_amplitude_is_refused(extractor, value, found):
    X = spectrograms()
    X[2, 3, 4] = value
    with pytest.raises(ValueError, match=rf"clip 2: values .*{found}.*expected amplitudes"):
        extractor(X)
    with pytest.raises(ValueError, match="clip 2: values"):
        extractor.fit(X)


@pytest.mark.parametrize("shape", [(12, 30), (2, 13, 30), (2, 12, 0)])
def test_other_shapes_are_refused(extractor, shape):
    with pytest.raises(ValueError, match=r"spectrograms of shape \(.*expected \(batch, 12, frame\)"):
        extractor(torch.ones(shape))


def test_extraction_before_fit_is_refused():
    with pytest.raises(ValueError, match="NNE has no atoms: expected fit or load_state_dict"):
        NNE(BINS)(spectrograms())


@pytest.mark.parametrize("options", [{"gamma": 0.0}, {"xi": 0.0}, {"xi": 1.7}])
def test_steps_that_do_not_converge_are_refused(options):
    for extractor in (NMU, NNE):
        with pytest.raises(ValueError, match=f"{next(iter(options))} .*: expected a"):
            extractor(**options)


def test_fit_takes_clips_of_any_length_and_repeats_itself():
    X = spectrograms(frames=40)
    first, second, other = (NMF(BINS, num_atoms=ATOMS) for _ in range(3))
    first.fit(X)
    second.fit(clip for whole in X for clip in whole.split(25, dim=1))
    other.fit(X, seed=1)
    torch.testing.assert_close(first.W, second.W)
    assert not torch.allclose(first.W, other.W)
    torch.testing.assert_close(first.W.norm(dim=0), torch.ones(ATOMS))


def test_fit_finds_the_spectra_that_sound_is_made_of():
    generator = torch.Generator().manual_seed(3)
    atoms = torch.eye(BINS)[:, ::5] + 0.3 * torch.eye(BINS)[:, 1::5][:, :ATOMS]
    extractor = NMF(BINS, num_atoms=ATOMS)
    extractor.fit(
        atoms @ torch.rand(2, ATOMS, 50, generator=generator) ** 4, max_iterations=2000, tolerance=1e-6
    )
    similarity = (atoms / atoms.norm(dim=0)).T @ extractor.W
    torch.testing.assert_close(similarity.amax(dim=1), torch.ones(ATOMS), rtol=1e-3, atol=0)


def test_fit_on_silence_is_refused():
    with pytest.raises(ValueError, match="all 60 frames to learn atoms from are silent"):
        NMF(BINS).fit(torch.zeros(2, BINS, 30))


@pytest.mark.parametrize("gamma", [1.0, 10.0, 100.0])
def test_novelty_extraction_ends_by_its_tolerance(gamma):
    found = []
    for more in ({}, {"num_iterations": 10000}):
        extractor = NNE(BINS, num_atoms=ATOMS, gamma=gamma, **more)
        extractor.fit(spectrograms(batch=8, seed=1))
        found.append(extractor(spectrograms()))
    assert torch.equal(*found)
