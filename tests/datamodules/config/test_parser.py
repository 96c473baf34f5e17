"""One parser for all commands: the same words, the same one line, exit code 2; what YAML reads otherwise is refused."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from datamodules import check
from datamodules.config.experiment import SECTIONS
from datamodules.pack import __main__ as pack
from lightning_modules import export, fit, predict, test, validate
from lightning_modules.benchmark import __main__ as benchmark
from lightning_modules.config import cli
from lightning_modules.run.folder import Run

OF_EXPERIMENTS = [fit, validate, test, predict, export, benchmark, check, pack]
OF_OPTIONS = [
    "calibrate",
    "compare",
    "generate",
    "grid",
    "mapper.__main__",
    "process",
    "report",
    "score",
    "select",
    "sort",
    "submit",
]
ASVSPOOF = {"class_path": "datamodules.ASVspoof", "init_args": {"root": "nowhere"}}


def refused(monkeypatch, capsys, command, *words):
    """The one line with which a command refuses its command line."""
    monkeypatch.setattr(sys, "argv", [command.__name__, *words])
    main: Any = command if callable(command) else command.main
    with pytest.raises(SystemExit) as stop:
        cli.one_line_errors(main)
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    return message


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A file of an experiment, beside which the command runs."""
    monkeypatch.chdir(tmp_path)
    model = {
        "class_path": "lightning_modules.ssd.SyntheticSpeechDetector",
        "init_args": {"network": {"class_path": "lightning_modules.networks.AASIST"}},
    }
    content = {"run": {"experiment": "x"}, "model": model, "data": ASVSPOOF}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(content))
    return "a.yaml"


@pytest.mark.parametrize("command", OF_EXPERIMENTS, ids=lambda command: command.__name__)
def test_every_command_answers_alike(command, config, monkeypatch, capsys):
    more = ["--into=packed"] if command is pack else []
    for words, answer in [
        (
            ["--config", config, "--data.padding=sideways", "--data.batch_size=8.5"],
            "data.padding: Expected one of repeat,",
        ),
        (["--config", config, "--data.batch_size=8.5"], "data.batch_size: Expected a int. Got value: 8.5"),
        (
            ["--config", config, "--data.trian_crop_s=3"],
            "unknown key data.trian_crop_s; did you mean train_crop_s?",
        ),
        (["--config", config, "--data=CLASS"], "data: no class CLASS; did you mean DCASE?"),
        (["--config", config, "--data.seed=[010]"], "010 is 8, a number to the base of 8 in YAML"),
        ([config], "a.yaml: did you mean --config a.yaml?"),
        (["--cfg", config], "unknown key cfg; did you mean config?"),
        ([], "no configuration: give --config FILE"),
    ]:
        assert answer in refused(monkeypatch, capsys, command, *words, *more)


@pytest.mark.parametrize("name", OF_OPTIONS)
def test_every_command_of_options_names_the_nearest(name, monkeypatch, capsys):
    command = importlib.import_module(f"lightning_modules.{name}")
    command = command.process if name == "process" else command
    assert "unknown key hlep; did you mean help?" in refused(monkeypatch, capsys, command, "--hlep")


def test_a_class_is_found_by_its_name_alone(config, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fit", "--config", config, "--data=VGGSound", "--print_config"])
    with pytest.raises(SystemExit):
        fit.main()
    assert yaml.safe_load(capsys.readouterr().out)["data"]["class_path"].endswith("VGGSound")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--data.help"], "one of ASVspoof, AudioFolder, Capture, ClipList, DCASE"),
        (["--data.help", "VGGSound"], "--data.eval_crop_s"),
        (["--model.help", "lightning_modules.ssd.SyntheticSpeechDetector"], "--model.network"),
        (["--model.help", "SyntheticSpeechDetector"], "--model.network"),
    ],
)
def test_help_of_a_part_needs_no_configuration(words, shown, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fit", *words])
    with pytest.raises(SystemExit) as stop:
        fit.main()
    assert not stop.value.code
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("seed_everything: 010", "b.yaml, line 1: 010 is 8, a number to the base of 8 in YAML"),
        (
            "trainer:\n  max_time: 1:12:00:00",
            "b.yaml, line 2: 1:12:00:00 is 259200, a number to the base of 60",
        ),
    ],
)
def test_file_with_a_number_that_yaml_reads_otherwise(text, answer, config, tmp_path, monkeypatch, capsys):
    (tmp_path / "b.yaml").write_text(text)
    for command in (fit, check):
        assert answer in refused(monkeypatch, capsys, command, "--config", config, "--config=b.yaml")


def test_text_and_plain_numbers_stay(config, tmp_path, monkeypatch, capsys):
    (tmp_path / "b.yaml").write_text(
        "run: {id: '010'}\nseed_everything: 10\ntrainer: {max_time: '1:12:00:00'}"
    )
    more = ["--data.batch_size=010", "--run.experiment=007", "--print_config"]
    monkeypatch.setattr(sys, "argv", ["fit", "--config", config, "--config=b.yaml", *more])
    with pytest.raises(SystemExit):
        fit.main()
    found = yaml.safe_load(capsys.readouterr().out)
    assert (found["run"]["id"], found["run"]["experiment"], found["seed_everything"]) == ("010", "007", 10)
    assert (found["data"]["init_args"]["batch_size"], found["trainer"]["max_time"]) == (10, "1:12:00:00")


def test_commands_of_data_know_all_sections_of_an_experiment(config):
    platform = cli.Platform(["--config", config], command="fit", description="")
    assert isinstance(platform.run_folder, Run)
    assert set(platform.resolved()) == {*SECTIONS, "data"}


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("${data.init_args.num_samples}", "takes its value from data.num_samples, which is not there"),
        ("${oc.env:NO_SUCH_VARIABLE}", "the environment variable NO_SUCH_VARIABLE is not set"),
    ],
)
def test_what_a_value_refers_to_is_told_where_it_is_missing(config, monkeypatch, capsys, reference, message):
    Path("b.yaml").write_text(yaml.safe_dump({"model": {"init_args": {"class_weights": reference}}}))
    line = refused(monkeypatch, capsys, fit, "--config", config, "--config", "b.yaml")
    assert line.startswith(f"error: model.class_weights: {message}")
    assert "give --model.class_weights=VALUE" in line
