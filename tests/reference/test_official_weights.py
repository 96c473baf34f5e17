"""Equality with the published networks, their weights and the published LFCC.

Needs files that are no part of this project: AASIST_REFERENCE (clone of clovaai/aasist), NII_REFERENCE (clone
of nii-yamagishilab/project-NN-Pytorch-scripts) and LCNN_WEIGHTS (its ``trained_network.pt``, below
project/04-asvspoof2021-toy/lfcc-lcnn-lstm-sig_toy_example/__pretrained).
"""

import json
from types import SimpleNamespace

import pytest
import soundfile
import torch
import torch.nn.functional as F
from one_score import CONFIGS, build, mixed_clips, orders, scores_of_test
from published import load_module, reference

from lightning_modules.frontends import LFCC
from lightning_modules.networks import AASIST, LCNN


@pytest.fixture(params=["AASIST", "AASIST-L"])
def aasist_pair(request):
    """The published network and ours, with the published weights."""
    root = reference("AASIST_REFERENCE")
    weights = root / "models" / "weights" / f"{request.param}.pth"
    config = json.loads((root / "config" / f"{request.param}.conf").read_text())["model_config"]
    official = load_module(root / "models" / "AASIST.py").Model(config)
    official.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return official, (AASIST() if request.param == "AASIST" else AASIST.light()).load_official(weights)


@torch.no_grad()
def test_aasist_scores(aasist_pair):
    official, ours = aasist_pair
    waveform = 0.1 * torch.randn(2, 64600)
    embedding, logits = official.eval()(waveform)
    output = ours.eval()(waveform)
    torch.testing.assert_close(output.logits, logits, atol=2e-5, rtol=0)
    torch.testing.assert_close(output.embedding, embedding, atol=2e-5, rtol=0)


@torch.no_grad()
def test_aasist_scores_in_float64(aasist_pair):
    official, ours = aasist_pair
    assert torch.equal(official.conv_time.band_pass[:69], ours.sinc[:, 0])
    official.conv_time.band_pass = official.conv_time.band_pass.double()
    waveform = 0.1 * torch.randn(4, 64600, dtype=torch.float64)
    logits = official.double().eval()(waveform)[1]
    torch.testing.assert_close(ours.double().eval()(waveform).logits, logits, atol=1e-12, rtol=0)


def test_aasist_training_step_in_float64(aasist_pair):
    """Same dropout masks, since both draw them in the same order; same gradients and running statistics."""
    official, ours = aasist_pair
    waveform, target = 0.1 * torch.randn(3, 8000, dtype=torch.float64), torch.tensor([0, 1, 1])
    official.conv_time.band_pass = official.conv_time.band_pass.double()
    results = []
    for network in (official.double(), ours.double()):
        torch.manual_seed(0)
        logits = network(waveform)[1]
        F.cross_entropy(logits, target).backward()
        gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
        results.append((logits, gradients, network.state_dict()))
    (logits, gradients, state), (our_logits, our_gradients, our_state) = results
    torch.testing.assert_close(our_logits, logits, atol=1e-11, rtol=0)
    scale = max(gradient.norm() for gradient in gradients.values() if gradient is not None)
    for name, gradient in gradients.items():
        if gradient is None:
            assert our_gradients[name] is None
        else:
            assert (our_gradients[name] - gradient).norm() < 1e-10 * scale, name
    for name, value in state.items():
        if ".bn1." not in name:  # the dead branch, which ours does not compute
            torch.testing.assert_close(our_state[name], value, atol=1e-11, rtol=0)


@pytest.fixture
def nii(monkeypatch):
    root = reference("NII_REFERENCE")
    monkeypatch.syspath_prepend(str(root))
    return root, load_module(root / "sandbox" / "util_frontend.py")


@pytest.mark.parametrize(
    ("n_fft", "max_frequency", "share"), [(512, None, 1), (1024, 4000.0, 0.5)], ids=["toy", "LA and DF 2021"]
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-10)])
def test_lfcc(nii, n_fft, max_frequency, share, dtype, tolerance, monkeypatch):
    _, frontend = nii
    monkeypatch.setattr(frontend.nii_conf, "d_dtype", dtype)
    torch.set_default_dtype(dtype)
    try:
        official = frontend.LFCC(320, 160, n_fft, 16000, 20, with_energy=True, max_freq=share)
        waveform = 0.1 * torch.randn(2, 20013)
        features = LFCC(n_fft=n_fft, max_frequency=max_frequency)(waveform)
        torch.testing.assert_close(features, official(waveform).mT, atol=tolerance, rtol=0)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.fixture
def official_lcnn(nii):
    root, _ = nii
    example = root / "project" / "04-asvspoof2021-toy" / "lfcc-lcnn-lstm-sig_toy_example"
    protocol = SimpleNamespace(optional_argument=["no protocol"])
    official = load_module(example / "model.py").Model(1, 1, None, protocol).eval()
    weights = torch.load(reference("LCNN_WEIGHTS"), map_location="cpu", weights_only=True)
    official.load_state_dict(weights)
    return official


@torch.no_grad()
def test_lcnn_scores(official_lcnn):
    official, weights = official_lcnn, reference("LCNN_WEIGHTS")
    ours, frontend = LCNN.lstm_sum().load_official(weights).eval(), LFCC()
    waveform = 0.1 * torch.randn(2, 48013)
    logits = official._compute_embedding(waveform, None)
    torch.testing.assert_close(ours(frontend(waveform)).logits, logits, atol=1e-4, rtol=1e-5)
    ours, official, features = ours.double(), official.double(), frontend(waveform).double()
    official.m_frontend[0] = torch.nn.Identity()  # the networks alone, on the same features
    official._front_end = lambda *_: features.mT
    logits = official._compute_embedding(waveform.double(), None)
    torch.testing.assert_close(ours(features).logits, logits, atol=1e-10, rtol=0)


@pytest.fixture
def scores_of_clips(demo_corpus, monkeypatch, tmp_path):
    """Makes clips of mixed lengths, and their scores by a test in several batches and orders."""
    monkeypatch.setenv("ASVSPOOF2019_LA_ROOT", str(demo_corpus))

    def make(name, *settings):
        platform = build(name, tmp_path, *settings)
        clips = mixed_clips(platform.datamodule, tmp_path / "clips")
        scores = [scores_of_test(platform, clips, order, batch_size=size) for size, order in orders()]
        return [
            torch.from_numpy(soundfile.read(clip.path, dtype="float32")[0])[None] for clip in clips
        ], scores

    return make


@torch.no_grad()
def test_lcnn_scores_of_whole_clips_in_any_batch(official_lcnn, scores_of_clips):
    weights = f"--model.weights={reference('LCNN_WEIGHTS')}"
    toy = ["--model.frontend.n_fft=512", "--model.frontend.max_frequency=8000", "--data.batch_size=8"]
    clips, scores = scores_of_clips("ssd_lcnn_lstm_sum", weights, *toy)
    expected = torch.cat([official_lcnn._compute_embedding(clip, None)[:, 0] for clip in clips])
    for found in scores:
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@torch.no_grad()
def test_aasist_light_scores_of_clips_in_any_batch(scores_of_clips):
    root = reference("AASIST_REFERENCE")
    weights = root / "models/weights/AASIST-L.pth"
    config = json.loads((root / "config/AASIST-L.conf").read_text())["model_config"]
    official = load_module(root / "models" / "AASIST.py").Model(config).eval()
    official.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    light = f"--config={CONFIGS}/overlays/ssd_aasist_light.yaml"
    clips, scores = scores_of_clips("ssd_aasist", light, f"--model.weights={weights}")
    pad = load_module(root / "data_utils.py").pad
    crops = [torch.from_numpy(pad(clip[0].numpy(), 64600))[None] for clip in clips]
    expected = torch.cat([official(crop)[1][:, 1] for crop in crops])
    for found in scores:
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
