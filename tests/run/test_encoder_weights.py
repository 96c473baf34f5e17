"""An encoder whose sizes its file tells is the same one without the file."""

from typing import Any

import pytest
import torch
from beats_file import CFG, SMALL, write
from torch import nn

from lightning_modules.networks import EncoderClassifier
from lightning_modules.networks.back_ends import PooledLinear
from lightning_modules.networks.encoders import BEATs
from lightning_modules.package.classes import build
from lightning_modules.run.encoder_weights import as_built, leave_out, require_same


@pytest.fixture
def weights(tmp_path):
    network = BEATs(**SMALL, max_distance=400)
    return write(tmp_path / "beats.pt", network, CFG | {"max_distance": 400})


def method(weights, **settings):
    model: Any = nn.Module()
    model.network = EncoderClassifier(BEATs(weights, **settings), PooledLinear(3, dim=32))
    return model


def config(weights):
    """Arguments of a method as a configuration has them, every default filled in."""
    encoder = {"weights": weights, "depth": 12, "width": 768, "max_distance": 800, "rows": "mean"}
    parts = {
        "encoder": {"class_path": "lightning_modules.networks.encoders.BEATs", "init_args": encoder},
        "back_end": {
            "class_path": "lightning_modules.networks.back_ends.PooledLinear",
            "init_args": {"num_classes": 3, "dim": 32},
        },
    }
    return {"network": {"class_path": "lightning_modules.networks.EncoderClassifier", "init_args": parts}}


def test_a_whole_checkpoint_builds_it_by_the_sizes_of_its_file(weights):
    model = method(weights).eval()
    checkpoint = {"state_dict": model.state_dict()}
    leave_out(model, checkpoint)
    assert "encoder_weights" not in checkpoint
    found = as_built(config(weights), checkpoint)
    encoder = found["network"]["init_args"]["encoder"]["init_args"]
    assert (encoder["weights"], encoder["depth"], encoder["max_distance"]) == (None, 2, 400)
    network = build(found["network"], "network").eval()
    network.load_state_dict(
        {name.removeprefix("network."): each for name, each in checkpoint["state_dict"].items()}
    )
    features = torch.randn(2, 128, 800)
    assert torch.equal(network(features).logits, model.network(features).logits)


def test_one_that_leaves_weights_out_keeps_their_file(weights):
    model = method(weights, trainable="none")
    checkpoint = {"state_dict": model.state_dict()}
    leave_out(model, checkpoint)
    assert set(checkpoint["state_dict"]) == {
        "network.back_end.proj_fc.weight",
        "network.back_end.proj_fc.bias",
    }
    assert as_built(config(weights), checkpoint) == config(weights)
    require_same(model, checkpoint["encoder_weights"])
    with pytest.raises(ValueError, match=r"network\.encoder has none: name that file as its weights"):
        require_same(method(None, depth=2, width=32), checkpoint["encoder_weights"])
