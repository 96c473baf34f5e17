"""The page's example of an encoder and a back end, made small."""

import re
from pathlib import Path
from typing import Any

import torch

from lightning_modules.config import cli
from lightning_modules.networks import EncoderClassifier
from lightning_modules.networks.back_ends import MHFA

REPOSITORY = Path(__file__).parents[2]


def test_any_back_end_stands_on_any_encoder_by_yaml_alone(tmp_path):
    page = (REPOSITORY / "lightning_modules/ssd/README.md").read_text()
    (example,) = re.findall(r"```yaml\n(model:\n  init_args:\n    network:.*?)```", page, re.DOTALL)
    (tmp_path / "page.yaml").write_text(example)
    files = [f"--config={REPOSITORY}/configs/ssd_xlsr_aasist.yaml", f"--config={tmp_path}/page.yaml"]
    small = f"--config={REPOSITORY}/configs/overlays/ssd_small_encoder.yaml"  # without the weights, too
    model: Any = cli.build("fit", "", [*files, small, "--tracking.wandb=disabled"]).model
    assert isinstance(model.network, EncoderClassifier)
    assert isinstance(model.network.back_end, MHFA)
    assert model.network.back_end.att_head.out_features == 32
    assert model(torch.zeros(2, 1, 1600)).logits.shape == (2, 2)
