"""A run keeps the rule by which its convolutions compute gradients."""

import json
from types import SimpleNamespace

import pytest

from lightning_modules.callbacks.convolution_rule import ConvolutionRule
from lightning_modules.callbacks.provenance import Provenance
from lightning_modules.networks.convolution import Convolution
from lightning_modules.networks.cpu_rule import rule_of_this_cpu
from lightning_modules.run.folder import Run


def test_a_run_goes_on_by_its_own_rule():
    callback, layer, checkpoint = ConvolutionRule(), Convolution(1, 1, 3), {}
    layer.rule = "torch"
    callback.setup(None, layer, "fit")  # pyright: ignore[reportArgumentType]
    assert layer.rule == rule_of_this_cpu()
    callback.on_save_checkpoint(None, layer, checkpoint)  # pyright: ignore[reportArgumentType]
    assert checkpoint == {"convolution_rule": rule_of_this_cpu()}
    for rule in ("avx2-1", "avx512-1"):
        callback.on_load_checkpoint(None, layer, {"convolution_rule": rule})  # pyright: ignore[reportArgumentType]
        assert layer.rule == rule
        callback.setup(None, layer, "test")  # pyright: ignore[reportArgumentType]
        callback.on_save_checkpoint(None, layer, checkpoint)  # pyright: ignore[reportArgumentType]
        assert layer.rule == checkpoint["convolution_rule"] == rule


def test_a_run_of_an_earlier_version_goes_on_as_torch_computes():
    callback, layer = ConvolutionRule(), Convolution(1, 1, 3)
    callback.setup(None, layer, "fit")  # pyright: ignore[reportArgumentType]
    callback.on_load_checkpoint(None, layer, {})  # pyright: ignore[reportArgumentType]
    assert layer.rule == "torch"


def test_a_rule_of_a_later_version_is_refused():
    with pytest.raises(ValueError, match="convolution_rule 'avx2-9' is of a later version"):
        ConvolutionRule().on_load_checkpoint(None, Convolution(1, 1, 3), {"convolution_rule": "avx2-9"})  # pyright: ignore


def test_the_folder_says_the_rule(tmp_path):
    run = Run(experiment="x", id="y", root=str(tmp_path))
    run.folder.mkdir(parents=True)
    file = run.folder / "provenance.json"
    file.write_text('{"commit": "c"}')
    layer = Convolution(1, 1, 3)
    layer.rule = "avx2-1"
    trainer = SimpleNamespace(is_global_zero=True, loggers=[])
    Provenance(run, "{}", None).on_train_start(trainer, layer)  # pyright: ignore[reportArgumentType]
    assert json.loads(file.read_text()) == {"commit": "c", "convolution_rule": "avx2-1"}
