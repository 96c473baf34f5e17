"""The command knows every data set of the package that has a demo corpus, without a list of them."""

import inspect

import pytest

import datamodules
from datamodules import DCASE
from datamodules.demo.__main__ import main
from datamodules.loading.resumable import ResumableDataModule

DATA_SETS = [
    each
    for each in (getattr(datamodules, name) for name in datamodules.__all__)
    if issubclass(each, ResumableDataModule) and each.demo_writer is not None
]


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["demo", *map(str, arguments)])
    main()


@pytest.mark.parametrize("data_set", DATA_SETS, ids=lambda each: each.__name__)
def test_a_writer_takes_a_folder_and_a_seed(data_set):
    inspect.signature(data_set.demo_writer).bind("folder", seed=1)


@pytest.mark.parametrize("name", ["DCASE", "dcase", "machines"])
def test_names_may_be_written_as_those_of_modules_and_as_they_were(name, monkeypatch, tmp_path):
    written = []
    monkeypatch.setattr(
        DCASE, "demo_writer", staticmethod(lambda folder, *, seed: written.append((folder, seed)))
    )
    run(monkeypatch, name, tmp_path / "new", "--seed=3")
    assert written == [(tmp_path / "new", 3)]


def test_the_corpus_is_the_data_sets(monkeypatch, tmp_path):
    run(monkeypatch, "mapping_examples", tmp_path / "new")
    datamodules.MappingExamples(root=str(tmp_path / "new"), class_outputs=["scene"]).setup()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NoisyPairs", "NoisyPairs has no demo corpus"),
        ("clip", "Clip has no demo corpus"),
        ("ESC50", "no data set ESC50: datamodules has ASVspoof, AudioFolder,"),
    ],
)
def test_what_has_no_corpus_is_named(name, expected, monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, name, tmp_path / "new")
    assert expected in capsys.readouterr().err
