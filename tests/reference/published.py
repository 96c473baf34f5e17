"""Published code beside ours: found by environment variables, imported from files."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest


def reference(variable: str) -> Path:
    """Folder or file that an environment variable names; a test without it skips."""
    if variable not in os.environ:
        pytest.skip(f"{variable} does not name the official files")
    return Path(os.environ[variable])


def load_module(path: Path) -> ModuleType:
    """Import a file under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"official_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
