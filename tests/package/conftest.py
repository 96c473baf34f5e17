"""Packages of five small models with random weights, each exported by the command from a checkpoint."""

import logging
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from datamodules.audio import SUFFIXES
from lightning_modules import export
from lightning_modules.commands import workflow
from lightning_modules.config import cli

REPOSITORY = Path(__file__).parents[2]
SETTINGS = {
    "aasist": ["ssd_aasist", "--model.network.channels=[8,8,8,8,8,8]", "--data.eval_crop_s=1.0"],
    "lcnn": ["ssd_lcnn", "--model.network.num_frames=126", "--data.eval_crop_s=1.0", "--data.batch_size=8"],
    "asd_resnet": ["asd_proxy_outlier", "--model.network.channels=8", "--model.window=24"],
    "datar": [
        "event_datar",
        "--config=configs/overlays/event_datar_tiny.yaml",
        "--model.network.dim=32",
        "--model.network.group_dim=32",
        "--model.network.depths=[1,1,2,2]",
        "--model.network.input_size=[64,64]",
        "--model.frontend.num_mel_bins=64",
        "--model.frontend.num_frames=64",
        "--data.eval_crop_s=0.655",
    ],
    "tagger": ["production_tagger", "--model.network.num_classes=3"],  # the data has five
}
GRAPHS = {"aasist": ["--torch_export"], "datar": ["--torch_export"]}  # their ONNX takes half a minute each


logging.getLogger("torch.__trace").propagate = False  # pytest would keep megabytes of it


class Exported(NamedTuple):
    checkpoint: Path
    package: Path


@pytest.fixture(scope="session")
def exported(tmp_path_factory, demo_corpus, demo_machines, demo_events) -> Callable[[str], Exported]:
    """Gives a model's checkpoint and package, made when first asked for."""
    folder = tmp_path_factory.mktemp("packages")

    @cache
    def made(name: str) -> Exported:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(REPOSITORY)
            patch.setenv("ASVSPOOF2019_LA_ROOT", str(demo_corpus))
            patch.setenv("DCASE2020_ROOT", str(demo_machines))
            patch.setenv("VGGSOUND_ROOT", str(demo_events / "VGGSound"))
            patch.delenv("DAT_WEIGHTS", raising=False)
            return _export(patch, name, folder)

    return made


def _export(patch: pytest.MonkeyPatch, name: str, folder: Path) -> Exported:
    config, *settings = SETTINGS[name]
    quiet = ["--trainer.accelerator=cpu", "--trainer.max_epochs=0", "--trainer.enable_progress_bar=false"]
    run = [f"--run.root={folder}", f"--run.experiment={name}", "--run.id=x", "--data.num_workers=0"]
    platform = cli.build(
        "fit", "", [f"--config=configs/{config}.yaml", *settings, *quiet, *run, "--tracking.wandb=disabled"]
    )
    torch.manual_seed(0)
    for weight in platform.model.parameters():
        if not weight.any():  # the ResNet begins with a logit of 0 for any input
            nn.init.normal_(weight, std=0.1)
    workflow.train(platform)
    run_folder = platform.run_folder.folder
    checkpoint = run_folder / "checkpoints" / "last.ckpt"
    graphs = GRAPHS.get(name, ["--torch_export", "--onnx"])
    patch.setattr(sys, "argv", ["export", f"--ckpt_path={checkpoint}", *graphs])
    cli.one_line_errors(export.main)
    return Exported(checkpoint, run_folder / "package")


@pytest.fixture(scope="session")
def sounds(demo_corpus, demo_machines, demo_events) -> dict[str, list[Path]]:
    """Model -> two files of its data."""
    speech = sorted(demo_corpus.rglob("*.flac"))[:2]
    events = sorted(path for path in (demo_events / "VGGSound").rglob("*") if path.suffix in SUFFIXES)[:2]
    machines = sorted(demo_machines.rglob("*.wav"))[:2]
    return {"aasist": speech, "lcnn": speech, "asd_resnet": machines, "datar": events, "tagger": events}
