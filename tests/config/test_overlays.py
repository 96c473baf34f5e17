"""Overlays that need data sets or ranks of their own: they parse and build what they say."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_modules.callbacks.network import ActivationCheckpointing, CompileNetwork
from lightning_modules.config import cli
from lightning_modules.sharding import ShardedStrategy

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("overlay", "edition", "root"),
    [("ssd_2021_la", "2021_LA", "LA21"), ("ssd_2021_df", "2021_DF", "DF21"), ("ssd_asvspoof5", "5", "FIVE")],
)
def test_editions(overlay, edition, root, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    for name in ("ASVSPOOF2019_LA", "ASVSPOOF2021_LA", "ASVSPOOF2021_DF", "ASVSPOOF5"):
        short = {
            "ASVSPOOF2019_LA": "LA19",
            "ASVSPOOF2021_LA": "LA21",
            "ASVSPOOF2021_DF": "DF21",
            "ASVSPOOF5": "FIVE",
        }
        monkeypatch.setenv(f"{name}_ROOT", f"/data/{short[name]}")
    files = ["--config=configs/ssd_lcnn.yaml", f"--config=configs/overlays/{overlay}.yaml"]
    data = cli.build("fit", "", [*files, "--tracking.wandb=disabled"]).datamodule
    assert data.edition == edition
    assert str(data.root) == f"/data/{root}"
    if edition.startswith("2021"):
        assert str(data.train_root) == "/data/LA19"


def test_short_segments_are_repeated_by_what_the_overlay_of_epic_kitchens_names(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    overlay = Path("configs/overlays/event_epic_kitchens.yaml")
    (option,) = re.findall(r"\S+=repeat", overlay.read_text())
    files = ["--config=configs/event_ast.yaml", f"--config={overlay}", "--model.network.depth=1"]
    built = cli.build("fit", "", [*files, f"--{option}", "--tracking.wandb=disabled"])
    model: Any = built.model
    segment = torch.zeros(1, 1, 163840)
    segment[..., :16000].normal_()
    features = model.frontend.eval()(segment, torch.tensor([16000]))
    torch.testing.assert_close(features[..., 98:196], features[..., :98])


def test_overlays_of_compute_add_up(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    names = ("compile", "activation_checkpointing", "fused", "fsdp")
    files = ["--config=configs/event_ast.yaml", *(f"--config=configs/overlays/{name}.yaml" for name in names)]
    built = cli.build("fit", "", [*files, "--trainer.accelerator=cpu", "--tracking.wandb=disabled"])
    kinds = {type(callback) for callback in built.trainer.callbacks}  # pyright: ignore[reportAttributeAccessIssue]
    assert {CompileNetwork, ActivationCheckpointing} <= kinds
    assert isinstance(built.trainer.strategy, ShardedStrategy)
    model: Any = built.model
    assert model.optimizer_factory(model.network.parameters()).defaults["fused"]
