"""What counts as an evaluation of a run's own data, and what all others are called."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from datamodules.clips import Clip
from lightning_modules.run.evaluations import Evaluations
from lightning_modules.run.folder import Run
from lightning_modules.run.provenance import data_hash

ROWS = [Clip(f"LA_E_{number}", f"/la/{number}.flac", number % 2) for number in range(4)]
CONFIG: dict[str, Any] = {
    "model": {"class_path": "lightning_modules.ssd.SyntheticSpeechDetector", "init_args": {"network": {}}},
    "data": {
        "class_path": "datamodules.ASVspoof",
        "init_args": {
            "edition": "2019_LA",
            "subset": "eval",
            "root": "/la",
            "eval_crop_s": 4.0,
            "batch_size": 8,
        },
    },
    "trainer": {"limit_test_batches": None, "precision": None, "devices": 1},
    "run": {"experiment": "e", "id": "x", "root": "runs"},
}


def changed(**values: Any) -> dict[str, Any]:
    """The configuration with other values: of the data, or ``trainer__<key>``."""
    config = copy.deepcopy(CONFIG)
    for name, value in values.items():
        section = config["trainer"] if name.startswith("trainer__") else config["data"]["init_args"]
        section[name.removeprefix("trainer__")] = value
    return config


@pytest.fixture
def run(tmp_path) -> Run:
    """A run that was trained and tested on its own data."""
    run = Run(experiment="e", id="x", root=str(tmp_path))
    run.checkpoints.mkdir(parents=True)
    run.last_checkpoint.touch()
    (run.folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    (run.folder / "provenance.json").write_text(json.dumps({"data_hash": {"test": data_hash(ROWS)}}))
    return run


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        changed(batch_size=1, num_workers=0),
        changed(trainer__devices=4, trainer__limit_test_batches=1.0, trainer__precision="32-true"),
        changed(root="/elsewhere"),  # the same clips
        changed(train_root="/elsewhere"),
        changed(added_by_a_later_version=True),
        changed(condition=None, noise="/musan", degrade={"opus": 0.5}),  # clean, whatever trained
    ],
)
def test_the_own_data_keep_plain_names(run, config):
    found = Evaluations(run, config).of("test", ROWS)
    assert (found.name, found.is_own) == ("test", True)
    assert (found.data_set, found.data_hash) == ("ASVspoof-2019_LA-eval", data_hash(ROWS))


@pytest.mark.parametrize(
    ("config", "rows", "data_set"),
    [
        (changed(edition="2021_DF"), ROWS[:2], "ASVspoof-2021_DF-eval"),
        (changed(edition="2021_DF"), ROWS, "ASVspoof-2021_DF-eval"),
        (changed(subset="progress"), ROWS[1:], "ASVspoof-2019_LA-progress"),
        (changed(root="/elsewhere"), ROWS[1:], "ASVspoof-2019_LA-eval"),
        (changed(eval_crop_s=2.0), ROWS, "ASVspoof-2019_LA-eval"),
        (changed(condition="opus@16k+snr10"), ROWS, "ASVspoof-2019_LA-eval-opus_16k_snr10"),
        (changed(trainer__limit_test_batches=2), ROWS, "ASVspoof-2019_LA-eval"),
        (changed(trainer__limit_test_batches=1), ROWS, "ASVspoof-2019_LA-eval"),
        (changed(trainer__precision="bf16-mixed"), ROWS, "ASVspoof-2019_LA-eval"),
    ],
)
def test_all_else_has_a_name_that_tells_it_apart(run, config, rows, data_set):
    found = Evaluations(run, config).of("test", rows)
    assert not found.is_own
    assert re.fullmatch(rf"test@{data_set}-[0-9a-f]{{6}}", found.name)
    others = {
        Evaluations(run, changed(edition="2021_DF")).of("test", ROWS[2:]).name,
        Evaluations(run, changed(eval_crop_s=3.0)).of("test", ROWS).name,
    }
    assert found.name not in others
    assert Evaluations(run, config).of("test", rows) == found


def test_another_data_set_is_named_by_its_class(run):
    config = copy.deepcopy(CONFIG)
    config["data"] = {"class_path": "datamodules.AudioFolder", "init_args": {"root": "/my sounds"}}
    assert re.fullmatch(r"test@AudioFolder-[0-9a-f]{6}", Evaluations(run, config).of("test", ROWS).name)


def test_a_former_name_of_a_class_is_the_same_class(run):
    config = copy.deepcopy(CONFIG)
    config["data"]["class_path"] = "datamodules.asvspoof.ASVspoof"
    assert Evaluations(run, config).of("test", ROWS).is_own


def test_own_data_that_changed_are_still_the_own(run):
    found = Evaluations(run, CONFIG).of("test", ROWS[1:])
    assert found.is_own
    assert found.data_hash == data_hash(ROWS[1:]) != data_hash(ROWS)


def test_a_run_that_was_never_tested_may_have_moved(run):
    (run.folder / "provenance.json").unlink()
    assert Evaluations(run, changed(root="/elsewhere")).of("test", ROWS).is_own
    assert not Evaluations(run, changed(edition="2021_DF")).of("test", ROWS).is_own


def test_without_the_folder_the_checkpoint_says_what_is_own(tmp_path):
    elsewhere = Run(experiment="e", id="x", root=str(tmp_path))
    found = Evaluations(elsewhere, changed(edition="2021_DF"), CONFIG)
    assert not found.of("test", ROWS).is_own
    assert found.knows_own
    of_its_own = Evaluations(
        Run(experiment="e", id="y", root=str(tmp_path)), changed(edition="2021_DF"), CONFIG
    )
    assert of_its_own.of("test", ROWS).is_own  # a folder that was asked for
    assert not of_its_own.knows_own


def test_a_checkpoint_of_elsewhere_gives_no_own_result(run, tmp_path):
    evaluations = Evaluations(run, CONFIG)
    evaluations.checkpoint = run.last_checkpoint
    assert evaluations.of("test", ROWS).is_own
    evaluations.checkpoint = Path(tmp_path / "last.ckpt")
    assert evaluations.of("test", ROWS).name.startswith("test@ASVspoof-2019_LA-eval-")


def test_a_run_that_fit_did_not_test_is_tested_later(run):
    config = changed(trainer__limit_test_batches=0)
    (run.folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert Evaluations(run, CONFIG).of("test", ROWS).is_own
    assert not Evaluations(run, changed(trainer__limit_test_batches=1)).of("test", ROWS).is_own


def test_validations_have_their_own_limit(run):
    config = changed(trainer__limit_test_batches=2)
    assert Evaluations(run, config).of("validation", ROWS).is_own
    config["trainer"]["limit_val_batches"] = 2
    assert not Evaluations(run, config).of("validation", ROWS).is_own


def test_conditions_never_share_a_name_or_settings(run):
    """Also with a run of a version that knew no conditions: its config.yaml says nothing of them."""
    configs = [
        CONFIG,
        changed(condition="snr10"),
        changed(condition="snr10", noise="/musan"),
        changed(condition="snr20"),
        changed(condition="room", rooms="/rirs"),
    ]
    found = [Evaluations(run, config).of("test", ROWS) for config in configs]
    assert [each.is_own for each in found] == [True, False, False, False, False]
    assert len({each.name for each in found}) == len({each.settings for each in found}) == 5


def test_a_run_in_a_condition_is_not_what_it_is_without(run):
    (run.folder / "config.yaml").write_text(yaml.safe_dump(changed(condition="snr10")))
    assert Evaluations(run, changed(condition="snr10")).of("test", ROWS).is_own
    assert not Evaluations(run, CONFIG).of("test", ROWS).is_own
