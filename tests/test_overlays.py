"""Overlays that need data sets of their own: they parse and name the right edition and folders."""

from pathlib import Path

import pytest

from lightning_modules import cli

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
