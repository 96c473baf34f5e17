"""The face of the package: what type checkers see there is what is found on first use."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

import datamodules


def test_type_checkers_see_what_is_found():
    statements = ast.walk(ast.parse(Path(datamodules.__file__).read_text()))
    seen = {
        name.name: getattr(import_module(str(statement.module)), name.name)
        for statement in statements
        if isinstance(statement, ast.ImportFrom) and str(statement.module).startswith("datamodules.")
        for name in statement.names
    }
    assert seen == {name: getattr(datamodules, name) for name in datamodules.__all__}


def test_what_is_not_there_is_named():
    with pytest.raises(AttributeError, match="module 'datamodules' has no attribute 'ESC50'"):
        datamodules.ESC50  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
