"""What W&B's agent makes of a sweep is a command line that `fit` understands."""

from pathlib import Path

import pytest
import yaml

from lightning_modules.config import cli

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
