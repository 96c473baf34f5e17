"""Overlays that need data sets or ranks of their own: they parse and build what they say."""

from pathlib import Path
from typing import Any

import pytest

from lightning_modules import cli
from lightning_modules.callbacks.network import ActivationCheckpointing, CompileNetwork
from lightning_modules.sharding import ShardedStrategy

REPOSITORY = Path(__file__).parents[1]


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
