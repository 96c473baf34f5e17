"""Files and overrides of a command line go on top of what a checkpoint carries, in whatever order its words stand."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lightning_modules.config import cli
from lightning_modules.config.of_checkpoint import config_of_checkpoint
from lightning_modules.run.checkpoints import read_checkpoint

REPOSITORY = Path(__file__).parents[2]
OVERLAY = "data: {init_args: {edition: 2021_DF, root: /df}}\n"
FOLDER = "data: {class_path: datamodules.AudioFolder, init_args: {root: /mine, source: null}}\n"


@pytest.fixture(scope="module")
def carried(tmp_path_factory) -> dict[str, Any]:
    """What a checkpoint of a small AASIST carries: every default, and overrides of its training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        words = [
            "--config=configs/ssd_aasist.yaml",
            "--model.network.channels=[8,8,8,8,8,8]",
            "--data.root=/la",
            "--data.batch_size=5",
            "--data.eval_crop_s=3.5",
            "--run.id=x",
            "--seed_everything=7",
        ]
        return yaml.safe_load(cli.build("fit", "", words).dump())


@pytest.fixture
def checkpoint(carried, tmp_path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    torch.save({"config": yaml.safe_dump(carried), "state_dict": {}}, "last.ckpt")
    for name, text in (
        ("df", OVERLAY),
        ("folder", FOLDER),
        ("eight", "data: {init_args: {batch_size: 8}}\n"),
    ):
        Path(f"{name}.yaml").write_text(text)
    return "--ckpt_path=last.ckpt"


def data_of(*words: str, command: str = "test") -> Any:
    return cli.build(command, "", list(words)).datamodule


@pytest.mark.parametrize("command", ["test", "validate", "predict", "export", "fit"])
def test_an_overlay_goes_on_top_of_the_checkpoint(command, checkpoint):
    platform = cli.build(command, "", [checkpoint, "--config", "df.yaml"])
    data = platform.datamodule
    assert (data.edition, str(data.root)) == ("2021_DF", "/df")
    assert (data.batch_size, data.eval_crop_s, data.seed) == (5, 3.5, 7)
    assert [*platform.config.model.init_args.network.init_args.channels] == [8] * 6
    assert platform.run_folder.id == "x"


def test_the_order_of_the_words_never_matters(checkpoint):
    parts = [(checkpoint,), ("--config", "df.yaml"), ("--data.predict=[a.wav]", "--data.batch_size=2")]
    for order in itertools.permutations(parts):
        data = data_of(*itertools.chain(*order), command="predict")
        assert (data.edition, data.predict, data.batch_size) == ("2021_DF", ["a.wav"], 2)


def test_files_go_before_overrides_and_later_files_on_top(checkpoint):
    words = ["--data.root=/other", "--config=eight.yaml", checkpoint, "-c", "df.yaml"]
    data = data_of(*words)
    assert (data.batch_size, data.edition, str(data.root)) == (8, "2021_DF", "/other")
    assert data_of(*words, "--data.batch_size=3").batch_size == 3


@pytest.mark.parametrize("command", ["test", "fit"])
def test_a_full_configuration_is_what_it_says_and_nothing_else(command, checkpoint):
    full = f"--config={REPOSITORY}/configs/ssd_lcnn.yaml"
    with_checkpoint = cli.build(command, "", [checkpoint, full])
    alone = cli.build(command, "", [full])
    left_out = ("ckpt_path", "config")
    assert with_checkpoint.resolved(without=left_out) == alone.resolved(without=left_out)
    assert with_checkpoint.datamodule.batch_size != 5


def test_another_data_set_keeps_how_clips_are_cut_and_no_other_argument(checkpoint):
    for words in (
        ["--config=folder.yaml"],
        ["--data=AudioFolder", "--data.root=/mine", "--data.source=null"],
    ):
        platform = cli.build("test", "", [*words, checkpoint])
        data = platform.datamodule
        assert (type(data).__name__, str(data.root), data.eval_crop_s) == ("AudioFolder", "/mine", 3.5)
        assert (data.sample_rate, data.padding, data.batch_size) == (16000, "repeat", 5)
        assert data.in_memory is False


def test_the_arguments_of_a_class_that_gives_way_are_left_out(carried, checkpoint):
    network = "--model.network=lightning_modules.networks.LCNN"
    found = config_of_checkpoint("last.ckpt", [network], continues=False)
    assert found is not None
    assert found["model"]["init_args"]["network"]["init_args"] == {}
    assert carried["model"]["init_args"]["network"]["init_args"]["channels"] == [8] * 6
    assert found["model"]["init_args"]["optimizer"] == carried["model"]["init_args"]["optimizer"]
    same = config_of_checkpoint(
        "last.ckpt", ["--model.network=AASIST", "--data.class_path=ASVspoof"], continues=False
    )
    assert same == carried


def test_a_checkpoint_without_configuration_needs_a_full_one(tmp_path, checkpoint):
    torch.save({"state_dict": {}}, tmp_path / "bare.ckpt")
    with pytest.raises(ValueError, match=r"bare\.ckpt: carries no configuration; name it with --config"):
        cli.build("test", "", ["--ckpt_path=bare.ckpt"])
    data = data_of("--ckpt_path=bare.ckpt", f"--config={REPOSITORY}/configs/ssd_aasist.yaml")
    assert data.batch_size == 24
    assert "config" not in read_checkpoint("bare.ckpt")
