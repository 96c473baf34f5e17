"""A configuration's model and data module are those of the commands, without a trainer."""

from pathlib import Path

import pytest
import torch

from datamodules.config.files import ConfigFileError
from lightning_modules.config import cli
from lightning_modules.config.parts import build_parts, read_config

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize(
    "files",
    [
        [
            CONFIGS / "ssd_aasist.yaml",
            CONFIGS / "overlays" / "ssd_aasist_light.yaml",
            CONFIGS / "overlays" / "gpu_bf16.yaml",
        ],
        [CONFIGS / "production_tagger.yaml"],
        [CONFIGS / "production_mapper.yaml"],
    ],
    ids=["overlays", "interpolation", "mapper"],
)
def test_parts_are_those_that_a_command_builds(files):
    config = read_config(*files)
    before = torch.get_rng_state()
    parts = build_parts(config)
    assert torch.equal(torch.get_rng_state(), before)
    platform = cli.build("fit", "", [*(f"--config={file}" for file in files), "--tracking.wandb=disabled"])
    resolved = platform.resolved()
    for section in ("model", "data"):
        assert parts.config[section] == config[section] == resolved[section]
    assert config["trainer"]["precision"] == resolved["trainer"]["precision"]
    assert type(parts.datamodule) is type(platform.datamodule)
    ours, theirs = parts.model.state_dict(), platform.model.state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trainer: {max_epochs: 3}", "no configuration: give --config FILE"),
        ("trainer: {max_epocs: 3}", r"unknown key trainer\.max_epocs; did you mean trainer\.max_epochs\?"),
        (
            "model: {class_path: torch.nn.Linear}",
            "model: Linear is no EvaluatedModule: name one of AutoencoderDetector, ",
        ),
        (
            "data: {class_path: datamodules.ASVspoof, init_args: {tain_crop_s: 3}}",
            r"did you mean train_crop_s\?",
        ),
        ("[", "line 2, column 1: no YAML"),
    ],
)
def test_faults_are_one_line(text, message, tmp_path):
    (tmp_path / "my.yaml").write_text(f"{text}\n")
    with pytest.raises(ConfigFileError, match=message) as error:
        read_config(tmp_path / "my.yaml")
    assert "\n" not in str(error.value)
