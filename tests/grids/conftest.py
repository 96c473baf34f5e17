"""What tests of reports share."""

import pytest


@pytest.fixture
def in_folder(monkeypatch, tmp_path):
    """An empty working folder but for a configuration."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").touch()
