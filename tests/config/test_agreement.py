"""Parts of a configuration that do not fit each other: one line with the key, before anything is written."""

import re
import sys
from pathlib import Path

import pytest

from lightning_modules import fit
from lightning_modules.config import cli

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize(
    ("config", "arguments", "expected"),
    [
        ("ssd_lcnn", "--model.optimizer.lr=-1", r"model.optimizer.lr is -1.0: Invalid learning rate: -1.0"),
        (
            "ssd_lcnn",
            "--model.optimizer.betas=[0.9,2]",
            r"model.optimizer.betas is \(0.9, 2.0\): Invalid beta",
        ),
        ("asd_autoencoder", "--model.optimizer.lr=-1", "model.optimizer.lr is -1.0: "),
        ("production_wavegan", "--model.optimizer.lr=-1", "model.optimizer.lr is -1.0: "),
        ("ssd_lcnn", "--model.lr_scheduler.step_size=0", r"model.lr_scheduler\(step_size=0, .*\): "),
        (
            "ssd_lcnn",
            "--model.lr_scheduler=torch.optim.lr_scheduler.OneCycleLR --model.lr_scheduler.max_lr=0.1",
            r"model.lr_scheduler\(.*max_lr=0.1.*\): You must define either total_steps",
        ),
        (
            "ssd_lcnn",
            "--model.lr_scheduler=torch.optim.lr_scheduler.ReduceLROnPlateau",
            r"model.lr_scheduler\(.*\): .*--model.lr_scheduler=lightning.pytorch.cli.ReduceLROnPlateau with"
            " --model.lr_scheduler.monitor=val/",
        ),
        (
            "ssd_lcnn",
            "--model.lr_scheduler=lightning.pytorch.cli.ReduceLROnPlateau --model.lr_scheduler.monitor=val/eer"
            " --model.lr_scheduler.factor=2",
            "model.lr_scheduler.factor is 2.0: Factor should be < 1.0",
        ),
        (
            "ssd_lcnn",
            "--data=datamodules.EffectPairs",
            "data: EffectPairs is no ClipDataModule, which SyntheticSpeechDetector is trained on: set data to .*ASV",
        ),
        (
            "production_effect",
            "--data=datamodules.AudioFolder",
            "data: AudioFolder is no PairDataModule, which LearnedEffect is trained on: set data to .*EffectPairs",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    config, arguments, expected, monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["fit", f"--config={CONFIGS}/{config}.yaml", *arguments.split()])
    with pytest.raises(SystemExit) as stop:
        cli.one_line_errors(fit.main)
    assert stop.value.code == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(expected, message), message
    assert not list(tmp_path.iterdir())
