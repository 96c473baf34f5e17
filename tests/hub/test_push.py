"""What is made of weights of the hub tells their commit, and goes back there as a package."""

import io
import json
import sys

import pytest
import torch

from lightning_modules import export, fit, load_model
from lightning_modules.config import cli
from lightning_modules.hub import sources
from lightning_modules.networks import AASIST

SMALL = [
    "--config=configs/ssd_aasist.yaml",
    "--model.network.channels=[8,8,8,8,8,8]",
    "--data.eval_crop_s=0.3",
    "--data.train_crop_s=0.3",
    "--data.num_workers=0",
    "--trainer.accelerator=cpu",
    "--tracking.wandb=disabled",
]


def run(monkeypatch, module, *arguments) -> None:
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
    cli.one_line_errors(module.main)


@pytest.fixture
def source(hub, demo_corpus, monkeypatch) -> str:
    """Weights of a small detector in a repository, and a token."""
    buffer = io.BytesIO()
    torch.save(AASIST(channels=(8, 8, 8, 8, 8, 8)).state_dict(), buffer)
    monkeypatch.setenv("ASVSPOOF2019_LA_ROOT", str(demo_corpus))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    return f"hf://owner/aasist/small.pt@{hub.commit('owner/aasist', {'small.pt': buffer.getvalue()})}"


@pytest.mark.filterwarnings("ignore:hf.//owner/package")
def test_a_pushed_package_scores_as_the_folder(hub, source, tmp_path, monkeypatch, capsys):
    into = tmp_path / "package"
    run(monkeypatch, export, *SMALL, f"--model.weights={source}", f"--into={into}", "--push=owner/package")
    assert "hf://owner/package" in capsys.readouterr().out
    files = hub.tree("owner/package", "main")[1]
    assert files == {path.name: path.read_bytes() for path in into.iterdir()}
    name, _, commit = source.rpartition("@")
    assert f"- {name}@{commit}: commit {commit}" in files["README.md"].decode()
    assert "owner/package" in hub.private
    sound = torch.randn(8000) * 0.1
    packaged = load_model("hf://owner/package", device="cpu")
    assert packaged.score(sound) == load_model(into, device="cpu").score(sound)


def test_a_refused_push_leaves_the_folder_and_says_how_to_go_on(source, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setattr(sys.modules["huggingface_hub"].constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    into = tmp_path / "package"
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, export, *SMALL, f"--model.weights={source}", f"--into={into}", "--push=owner/new")
    assert end.value.code == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "--push owner/new: " in error
    assert f"{into} is written, and `hf upload owner/new {into}` uploads it, logged in by" in error
    assert (into / "package.json").is_file()


def test_a_run_records_the_commit(source, tmp_path, monkeypatch):
    run(
        monkeypatch,
        fit,
        *SMALL,
        f"--model.weights={source}",
        f"--run.root={tmp_path}",
        "--run.id=x",
        "--trainer.max_steps=1",
        "--trainer.limit_val_batches=0",
        "--trainer.limit_test_batches=1",
        "--trainer.enable_progress_bar=false",
    )
    record = json.loads((tmp_path / "ssd_aasist" / "x" / "provenance.json").read_text())
    assert record["hub"] == {source: source.rpartition("@")[2]}
    assert sources.fetched().keys() == {source}
