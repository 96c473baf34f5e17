"""Libraries to sort, sorting them, and untrained taggers."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from library_samples import CONFIG, NASTY, FirstByte

from datamodules.demo.one_shots import write_one_shots
from lightning_modules.config import cli
from lightning_modules.library.rule import Rule
from lightning_modules.library.sorter import sort_library


@pytest.fixture
def tagger():
    return FirstByte()


@pytest.fixture
def library(tmp_path):
    """All nasty names in two folders (so that every name collides), among other files, and links in a circle."""
    root = tmp_path / "library"
    for folder, first in ((root / "a", b"d"), (root / "b c" / "deep", b"b")):
        folder.mkdir(parents=True)
        for number, name in enumerate(NASTY):
            Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(first + b"%d" % number)
    (root / "readme.txt").write_text("no sound")
    (root / "a" / "._plain.wav").write_text("of macOS")
    (root / "a" / "circle").symlink_to(root)
    return root


@pytest.fixture
def sort(library, tmp_path, tagger):
    """Sorts the library into the folder ``into``."""

    def run(*, mode: Any = "hardlink", rule=Rule(), target=tmp_path / "into", library=library, **options):  # noqa: B008
        return sort_library(library, target, tagger=tagger, rule=rule, mode=mode, **options)

    return run


@pytest.fixture(scope="session")
def sounds(tmp_path_factory):
    """Three synthetic kits in folders of five classes, not to be changed."""
    folder = tmp_path_factory.mktemp("sounds") / "one_shots"
    write_one_shots(folder, num_kits=3, num_hits=2)
    return folder


@pytest.fixture(scope="session")
def ckpt_path(sounds, tmp_path_factory):
    """Checkpoint of an untrained tagger, whose classes are not in the order of their names."""
    heads = {"class": ["tom", "kick", "snare", "hihat", "clap"]}
    return _untrained(sounds, heads, tmp_path_factory.mktemp("tagger") / "last.ckpt")


@pytest.fixture(scope="session")
def tags_ckpt_path(sounds, tmp_path_factory):
    """Likewise of a tagger of four tags."""
    heads = {name: [f"no {name}", name] for name in ("skin", "dark", "metal", "bright")}
    return _untrained(sounds, heads, tmp_path_factory.mktemp("tags") / "last.ckpt")


def _untrained(root, heads, path):
    torch.manual_seed(0)
    platform = cli.build("fit", "", [f"--config={CONFIG}", f"--data.root={root}", "--check"])
    model: Any = platform.model
    model._set_heads(heads)
    checkpoint = {"state_dict": model.state_dict(), "config": platform.dump()}
    model.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, path)
    return str(path)
