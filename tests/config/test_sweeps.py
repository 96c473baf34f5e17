"""What W&B's agent makes of a sweep is a command line that `fit` understands."""

from pathlib import Path

import pytest
import yaml

from lightning_modules.config import cli
from lightning_modules.config.sweep import without_record

FOLDER = Path(__file__).parents[2] / "configs" / "sweeps"


def a_value(parameter):
    return next(parameter[key] for key in ("value", "min", "values") if key in parameter)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_agents_command_is_understood(path, monkeypatch):
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

    sweep = yaml.safe_load(path.read_text())
    chosen = {}
    for name, parameter in sweep["parameters"].items():
        value = a_value(parameter)
        chosen[name] = value[-1] if isinstance(value, list) else value
    args = create_sweep_command_args({"args": {name: {"value": value} for name, value in chosen.items()}})
    command = sweep["command"]
    assert command[:4] == ["${env}", "${interpreter}", "-m", "lightning_modules.fit"]
    assert command[-1] == "${args}"
    monkeypatch.chdir(FOLDER.parents[1])
    platform = cli.build("fit", "", [*command[4:-1], *args["args"], "--check"])
    config = platform.config.as_flat()
    for name, value in chosen.items():
        section, _, key = name.partition(".")
        (found,) = {
            each
            for full, each in vars(config).items()
            if full == name
            or (full.startswith(f"{section}.") and full.replace("init_args.", "") == f"{section}.{key}")
        }
        assert found == value, name


def test_a_requeued_run_is_the_same_run(monkeypatch):
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

    command = ["--config=configs/ssd_lcnn.yaml", "--run.experiment=swept"]
    parameters = {"model.optimizer.lr": 1e-5, "seed_everything": 3, "data.drop_last": False}
    first = [*command, *create_sweep_command_args({"args": as_args(parameters)})["args"]]
    monkeypatch.setenv("WANDB_SWEEP_ID", "s")
    platform = cli.build("fit", "", first)
    recorded = {
        "commit": "c0ffee",
        "data_hash": {"train": "1"},
        "packages": {"torch": "2"},
        "convolution_rule": "avx2-1",
        "_wandb": {"v": None},
    }
    known = {**yaml.safe_load(platform.dump()), **recorded, **parameters}
    again = [*command, *create_sweep_command_args({"args": as_args(known)})["args"]]
    assert len(again) > len(first) + 4
    assert cli.build("fit", "", again).run_folder == platform.run_folder
    assert without_record(first) == first
    monkeypatch.delenv("WANDB_SWEEP_ID")
    assert without_record(again) == again


def as_args(values):
    return {name: {"value": value} for name, value in values.items()}
