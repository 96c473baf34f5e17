"""Modules as plain values and back."""

from typing import Any

import torch

from lightning_modules.networks import EncoderClassifier
from lightning_modules.networks.back_ends import PooledLinear
from lightning_modules.networks.encoders import Sizes, SpeechEncoder
from lightning_modules.package.classes import build, describe
from lightning_modules.package.scorers import SpoofingScorer

SIZES = {"width": 16, "depth": 1, "heads": 2, "feed_forward": 16, "conv_width": 4}


def part(name: str, /, **settings: Any) -> dict[str, Any]:
    return {"class_path": f"lightning_modules.networks.{name}", "init_args": settings}


def test_an_encoder_and_its_back_end_are_built_again_without_the_file_they_began_with():
    encoder = SpeechEncoder("xlsr_300m", sizes=Sizes(**SIZES))
    network = EncoderClassifier(encoder, PooledLinear(dim=16), num_classes=5)
    config = part(
        "EncoderClassifier",
        encoder=part("encoders.SpeechEncoder", name="xlsr_300m", sizes=SIZES, weights="gone/xlsr2_300m.pt"),
        back_end=part("back_ends.PooledLinear", dim=16),
    )
    spec = describe(SpoofingScorer(network), {"network": config})
    built = build(spec, "scorer")
    expected = {name: tensor.shape for name, tensor in network.state_dict().items()}
    assert {name: tensor.shape for name, tensor in built.network.state_dict().items()} == expected
    built.network.load_state_dict(network.state_dict())
    waveform = torch.randn(1, 1, 1600)
    assert torch.equal(built.eval()(waveform), SpoofingScorer(network).eval()(waveform))
