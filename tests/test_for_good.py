"""A data set that the project adopts is four files: all else finds it in the folders."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from contributing_page import EVENTS, PAGE, files

CLASS = files(EVENTS)["folded_events.py"].replace('Path("demo")', 'Path("data/demo/FoldedEvents")')
TEST = """
from datamodules import FoldedEvents


def test_classes():
    assert FoldedEvents(root="").classes == ["chirp", "hiss", "hum"]
"""
OVERLAY = """
# FoldedEvents, three classes, for event_resnet.
data:
  class_path: datamodules.FoldedEvents
  init_args: {root: data/demo/FoldedEvents}
"""


@pytest.fixture
def project(tmp_path):
    """A copy of the project that has adopted the page's data set of events."""
    for name in ("datamodules", "lightning_modules", "configs", "tests"):
        shutil.copytree(PAGE.parent / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("CONTRIBUTING.md", "pyproject.toml"):
        shutil.copy(PAGE.parent / name, tmp_path)
    (tmp_path / "datamodules/event/folded_events.py").write_text(CLASS)
    (tmp_path / "tests/datamodules/event/test_folded_events.py").write_text(TEST)
    (tmp_path / "configs/overlays/event_folded_events.yaml").write_text(OVERLAY)
    face = tmp_path / "datamodules/__init__.py"
    text = face.read_text()
    for after, line in (
        ("if TYPE_CHECKING:\n", "    from datamodules.event.folded_events import FoldedEvents\n"),
        ("_HOMES = {\n", '    "FoldedEvents": "event.folded_events",\n'),
    ):
        assert text.count(after) == 1
        text = text.replace(after, after + line)
    face.write_text(text)
    return tmp_path


@pytest.mark.slow
def test_a_data_set_is_four_files(project):
    tests = [
        *(
            "test_floors.py",
            "config/test_cli.py",
            "datamodules/test_face.py",
            "datamodules/pack/test_pack.py",
        ),
        *("datamodules/demo/test_demo_command.py", "datamodules/event/test_folded_events.py"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rp", "-k", "floors or face or folded_events or FoldedEvents"]
        + [f"tests/{name}" for name in tests],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    passed = re.findall(r"^PASSED tests/(\S*(?i:folded_?events)\S*)", done.stdout, re.MULTILINE)
    assert sorted(passed) == [
        "config/test_cli.py::test_check_passes_with_overlays[event_folded_events-event_resnet]",
        "datamodules/demo/test_demo_command.py::test_a_writer_takes_a_folder_and_a_seed[FoldedEvents]",
        "datamodules/event/test_folded_events.py::test_classes",
        "datamodules/pack/test_pack.py::test_data_modules_need_nothing_but_the_root[FoldedEvents]",
    ]
