"""What other seeds of a training share, and what they do not."""

import copy
from typing import Any

import pytest

from lightning_modules.run.recipe import recipe_of

CONFIG: dict[str, Any] = {
    "seed_everything": 1,
    "run": {"experiment": "e", "id": "x"},
    "model": {
        "class_path": "lightning_modules.ssd.SyntheticSpeechDetector",
        "init_args": {"network": {"width": 2}},
    },
    "data": {
        "class_path": "datamodules.ASVspoof",
        "init_args": {"edition": "2019_LA", "root": "/la", "seed": 1},
    },
    "trainer": {"max_epochs": 3, "devices": 1},
}


def changed(part: str, **values: Any) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    config[part] = config[part] | values
    return config


@pytest.mark.parametrize(
    ("config", "same"),
    [
        (CONFIG | {"seed_everything": 2, "run": {"id": "y"}}, True),
        (changed("trainer", devices=4), True),
        (changed("data", init_args={"edition": "2019_LA", "root": "/elsewhere", "seed": 2}), True),
        (changed("trainer", max_epochs=4), False),
        (changed("data", init_args={"edition": "5", "root": "/la", "seed": 1}), False),
        (changed("model", init_args={"network": {"width": 3}}), False),
    ],
)
def test_a_recipe_is_all_but_seeds_folders_and_the_machine(config, same):
    assert (recipe_of(config).digest == recipe_of(CONFIG).digest) == same


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"class_path": "datamodules.ASVspoof", "init_args": {"edition": "2019_LA"}}, "ASVspoof-2019_LA"),
        ({"class_path": "SpeechCorpora", "init_args": {"train": ["a", "b"], "root": "/c"}}, "a+b"),
        ({"class_path": "SpeechCorpora", "init_args": {"train": {"a": 1, "b": 2}}}, "a+b"),
        ({"class_path": "datamodules.ClipList", "init_args": {"root": "/my/speech"}}, "ClipList-speech"),
    ],
)
def test_what_it_was_trained_on(data, name):
    assert recipe_of(CONFIG | {"data": data}).trained_on == name


def test_a_pretrained_encoder_is_open():
    network = {
        "class_path": "X",
        "init_args": {"encoder": {"class_path": "lightning_modules.networks.encoders.XLSR"}},
    }
    assert recipe_of(changed("model", init_args={"network": network})).resources == "open"
    assert recipe_of(CONFIG).resources == "closed"
