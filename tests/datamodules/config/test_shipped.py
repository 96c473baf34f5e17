"""Configurations of the project can be named from any folder, and never hide a user's own."""

import pytest

from datamodules.config.shipped import config_path, shipped_folder, with_config_paths


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_configuration_of_the_project_is_found_from_any_folder():
    assert config_path("configs/overlays/demo.yaml").samefile(shipped_folder() / "overlays" / "demo.yaml")


def test_a_file_of_the_user_wins(tmp_path):
    own = tmp_path / "configs" / "ssd_aasist.yaml"
    own.parent.mkdir()
    own.write_text("seed_everything: 1\n")
    assert config_path("configs/ssd_aasist.yaml").samefile(own)


@pytest.mark.parametrize(
    "name", ["configs/ssd_aasit.yaml", "ssd_aasist.yaml", "configs/overlays/ssd_aasist.yaml"]
)
def test_the_nearest_name_is_told(name):
    with pytest.raises(
        FileNotFoundError, match=f"^{name}: no such file; did you mean configs/ssd_aasist.yaml.$"
    ):
        config_path(name)


@pytest.mark.parametrize("name", ["zzz", "", "configs"])
def test_what_is_like_none_is_told_where_they_are(name):
    with pytest.raises(FileNotFoundError, match=r"no such file; those of the project are in .*configs$"):
        config_path(name)


def test_command_lines_keep_what_names_no_configuration():
    shipped = str(shipped_folder() / "ssd_lcnn.yaml")
    given = [
        "-c",
        "configs/ssd_lcnn.yaml",
        "--config=configs/ssd_lcnn.yaml",
        "--data.root",
        "configs",
        "--check",
    ]
    assert with_config_paths(given) == [
        "-c",
        shipped,
        f"--config={shipped}",
        "--data.root",
        "configs",
        "--check",
    ]
