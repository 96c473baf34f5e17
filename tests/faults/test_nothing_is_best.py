"""A validation that can choose nothing is told of, and chooses nothing."""

import shutil
from runpy import run_path

import pytest
from contributing_page import NETWORK, files
from stopping import UNDISTURBED

SETTINGS = [
    "--config=level_net.yaml",
    "--trainer.accelerator=cpu",
    "--trainer.max_epochs=2",
    "--tracking.wandb=disabled",
    "--run.id=x",
]
EARLY_STOPPING = "{class_path: lightning.pytorch.callbacks.EarlyStopping, init_args: {monitor: val/eer}}"


@pytest.mark.parametrize("early", [False, True])
def test_a_validation_of_one_class(early, runs, tmp_path):
    for name, text in files(NETWORK).items():
        (tmp_path / name).write_text(text)
    run_path(str(tmp_path / "folders.py"))["write_demo"](tmp_path / "demo")
    shutil.rmtree(tmp_path / "demo/validation/bonafide")
    more = [f"--trainer.callbacks=[{EARLY_STOPPING}]"] if early else []
    ((code, output),) = runs(tmp_path, [*SETTINGS, *more], (tmp_path / "runs", UNDISTURBED))
    assert code == 0, output
    said = " ".join(output.split())
    assert "no checkpoint is best: val/eer was NaN in every validation" in said
    assert ("stopped after epoch 1: Monitored metric val/eer = nan is not finite" in said) == early
    run = tmp_path / "runs/level_net/x"
    assert (
        sorted(path.name for path in (run / "checkpoints").iterdir()) == ["last-1.ckpt", "last.ckpt"][early:]
    )
    assert ",last.ckpt," in (run / "results.csv").read_text()
