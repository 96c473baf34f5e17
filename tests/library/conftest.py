"""The library to sort, and sorting it."""

import os
from pathlib import Path
from typing import Any

import pytest
from library_samples import NASTY, FirstByte

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
