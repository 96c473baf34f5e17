"""Scorers whose network hears the waveform itself tell the shortest clip that has a score."""

import pytest
import torch
from speech_sources import small

from lightning_modules.frontends import BEATsFbank
from lightning_modules.networks import AASIST, EncoderClassifier
from lightning_modules.networks.back_ends import PooledLinear
from lightning_modules.networks.encoders import BEATs
from lightning_modules.package.graphs import trace
from lightning_modules.package.scorers import ClassScorer, SpoofingScorer

NETWORKS = {
    "aasist": lambda: AASIST(channels=(8, 8, 8, 8, 8, 8)),
    "xlsr": lambda: EncoderClassifier(small("xlsr_300m"), PooledLinear(dim=64)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_shortest_clip_has_a_score_and_a_shorter_one_none(name):
    scorer = SpoofingScorer(NETWORKS[name]()).eval()
    assert scorer.min_samples == {"aasist": 128 + 3**7, "xlsr": 400}[name]
    with torch.inference_mode():
        assert scorer(0.1 * torch.randn(2, 1, scorer.min_samples)).isfinite().all()
        with pytest.raises(ValueError, match=str(scorer.min_samples)):
            scorer(0.1 * torch.randn(2, 1, scorer.min_samples - 1))


def test_a_front_end_hears_first():
    assert ClassScorer(AASIST(channels=(8, 8, 8, 8, 8, 8)), torch.nn.Identity(), heads={}).min_samples == 1


def test_an_encoder_of_patches_is_captured_for_batches_of_any_size():
    network = EncoderClassifier(BEATs(depth=1, width=32, num_heads=4, ffn_width=48), PooledLinear(3, dim=32))
    scorer = ClassScorer(network, BEATsFbank(), heads={"class": ["a", "b", "c"]}).eval()
    program = trace(scorer, 0.1 * torch.randn(2, 1, 16000), any_length=False)
    clips = 0.1 * torch.randn(5, 1, 16000)
    torch.testing.assert_close(program.module()(clips), scorer(clips), rtol=1e-5, atol=1e-6)
