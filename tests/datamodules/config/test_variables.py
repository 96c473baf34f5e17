"""An empty variable of the environment counts as unset in every configuration."""

import pytest

from datamodules.base import ClipDataModule
from datamodules.config.experiment import data_parser, parse_data


@pytest.fixture
def root_of(tmp_path, monkeypatch):
    """Root of the data of a configuration, with the variable MY_SOUNDS set to a value."""

    def read(value, interpolation):
        path = tmp_path / "a.yaml"
        path.write_text(
            f"data: {{class_path: datamodules.ASVspoof, init_args: {{root: '{interpolation}'}}}}\n"
        )
        monkeypatch.setenv("MY_SOUNDS", value)
        parser = data_parser("datamodules.check", ClipDataModule, description="")
        return str(parse_data(parser, ["--config", str(path)])[1].root)

    return read


@pytest.mark.parametrize(("value", "root"), [("", "data/demo/x"), ("/sounds", "/sounds")])
def test_an_empty_variable_counts_as_unset(root_of, value, root):
    assert root_of(value, "${oc.env:MY_SOUNDS,data/demo/x}") == root


def test_one_without_a_default_is_told(root_of, capsys):
    with pytest.raises(SystemExit, match="2"):
        root_of("", "${oc.env:MY_SOUNDS}")
    assert "the environment variable MY_SOUNDS is empty" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["root", "train_root"])
def test_an_empty_path_is_refused_wherever_it_stands(key, tmp_path, capsys):
    """A shell makes ``--data.root=$FOLDER`` of a variable that is not set; it would be the working folder."""
    path = tmp_path / "a.yaml"
    path.write_text(f"data: {{class_path: datamodules.ASVspoof, init_args: {{{key}: ''}}}}\n")
    named = ["--data=datamodules.ASVspoof", f"--data.{key}="]
    for words in (["--config", str(path)], named, [*named[:1], f"--data.{key}", ""]):
        parser = data_parser("datamodules.check", ClipDataModule, description="")
        with pytest.raises(SystemExit, match="2"):
            parse_data(parser, words)
        line = f"error: data.{key} is empty: give it a value, or leave it out for its default\n"
        assert capsys.readouterr().err == line
