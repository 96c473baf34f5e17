"""A hub of this machine."""

import io
import json

import pytest
import torch
from hub_server import serving
from safetensors.torch import save
from torch import nn

from lightning_modules.hub import sources


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with weights in two repositories, which this process asks with a cache of its own."""
    from huggingface_hub import constants

    linear = nn.Linear(3, 2).state_dict()
    buffer = io.BytesIO()
    torch.save(linear, buffer)
    with serving() as hub:
        config = json.dumps({"model_type": "linear"}).encode()
        hub.commit(
            "owner/name", {"config.json": config, "model.safetensors": save(linear), "other.bin": b"0"}
        )
        hub.commit(
            "owner/older", {"pytorch_model.bin": buffer.getvalue(), "deep/weights.pt": buffer.getvalue()}
        )
        for name, value in {"ENDPOINT": hub.address, "HF_HUB_CACHE": str(tmp_path / "cache")}.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        )
        monkeypatch.setattr(sources, "_FETCHED", {})
        yield hub
