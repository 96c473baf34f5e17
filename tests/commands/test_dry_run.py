"""`--check` meets in seconds whatever a run would meet after an epoch, and leaves nothing."""

import sys

import pytest
from contributing_page import NETWORK, arguments, files

from lightning_modules import fit
from lightning_modules.config import cli

FAULTS = {  # what is wrong -> text of folders.py that is replaced, by what, and the end of the message
    "score files": (
        'return write_text_atomically(path, "".join(lines))',
        'raise ValueError("no scores")',
        "no scores",
    ),
    "classes": ('classes = ("spoof", "bonafide")', 'classes = ("spoof", "genuine")', "data.class_names="),
}
METHOD = """
import torch
from lightning_modules.ssd import SyntheticSpeechDetector


class Faulty(SyntheticSpeechDetector):
    def {hook}(self, *arguments):
        raise ValueError("fault in {hook}")
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The first example of CONTRIBUTING.md."""
    for name, text in files(NETWORK).items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for file in tmp_path.glob("*.py"):
        sys.modules.pop(file.stem, None)


def check(monkeypatch, *more):
    monkeypatch.setattr(
        sys, "argv", ["fit", *arguments(NETWORK), "--trainer.accelerator=cpu", *more, "--check"]
    )
    cli.one_line_errors(fit.main)


def left(folder):
    return {path.name for path in folder.iterdir()} - {*files(NETWORK), "__pycache__", "faulty.py"}


def test_a_sound_example_passes_and_leaves_nothing(place, monkeypatch, capsys):
    check(monkeypatch)
    assert "check passed" in capsys.readouterr().out
    assert not left(place)


def failed(capsys, monkeypatch, *more):
    with pytest.raises(SystemExit) as stop:
        check(monkeypatch, *more)
    assert stop.value.code == 1
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_a_data_set_are_met(place, fault, monkeypatch, capsys):
    old, new, message = FAULTS[fault]
    text = (place / "folders.py").read_text()
    (place / "folders.py").write_text(text.replace(old, new))
    assert message in failed(capsys, monkeypatch)
    assert not left(place)


@pytest.mark.parametrize(
    "hook", ["report", "scorer", "on_save_checkpoint", "on_load_checkpoint", "on_test_start"]
)
def test_faults_of_a_method_are_met(place, hook, monkeypatch, capsys):
    (place / "faulty.py").write_text(METHOD.format(hook=hook))
    assert failed(capsys, monkeypatch, "--model=faulty.Faulty") == f"error: fault in {hook}"
    assert not left(place)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--checkpoints.monitor=val/err"],
            "checkpoints.monitor: nothing is logged as 'val/err'; did you mean 'val/eer'?",
        ),
        (
            ["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val/los"],
            "trainer.callbacks.EarlyStopping.monitor: nothing is logged as 'val/los'",
        ),
        (
            [
                "--model.lr_scheduler=lightning.pytorch.cli.ReduceLROnPlateau",
                "--model.lr_scheduler.monitor=val/er",
            ],
            "model.lr_scheduler.monitor: nothing is logged as 'val/er'; did you mean 'val/eer'?",
        ),
        (
            [
                "--model.lr_scheduler=lightning.pytorch.cli.ReduceLROnPlateau",
                "--model.lr_scheduler.monitor=val/eer",
                *("--trainer.check_val_every_n_epoch=null", "--trainer.val_check_interval=6"),
            ],
            "lr_scheduler waits for val/eer at the end of an epoch",
        ),
    ],
)
def test_values_to_wait_for_are_met(place, options, message, monkeypatch, capsys):
    assert message in failed(capsys, monkeypatch, *options)


def test_a_run_that_validates_whatever_the_epoch_passes(place, monkeypatch, capsys):
    check(monkeypatch, "--trainer.check_val_every_n_epoch=null", "--trainer.val_check_interval=6")
    assert "check passed" in capsys.readouterr().out


def test_a_checkpoint_of_ones_own_goes_nowhere_else(place, monkeypatch, capsys):
    own = [
        "--trainer.callbacks+=ModelCheckpoint",
        "--trainer.callbacks.dirpath=kept",
        "--trainer.callbacks.monitor=train/loss",
    ]
    check(monkeypatch, *own)
    assert "check passed" in capsys.readouterr().out
    assert not left(place)
