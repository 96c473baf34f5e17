"""Results of a long prediction are put by row by row, and written as a whole or not at all."""

import csv

import pytest
import torch

from datamodules.files import write_csv
from datamodules.hearing import End
from lightning_modules.package.class_scores import ClassScores
from lightning_modules.package.scored_files import ScoredFiles, Wanted
from lightning_modules.package.spool import Rows, Scores
from lightning_modules.package.tally import Result


def test_rows_have_the_columns_of_all():
    rows = Rows()
    rows.add({"key": "a", "fault": "silent"})
    rows.add({"key": "b", "fault": "", "score": 1.5})
    assert list(rows.table()) == [["key", "fault", "score"], ["a", "silent", ""], ["b", "", 1.5]]


@pytest.mark.parametrize("shape", [(), (3,)])
def test_scores_are_packed_in_order(shape, monkeypatch):
    monkeypatch.setattr("lightning_modules.package.spool._BLOCK", 4)
    values, scores = torch.randn(10, *shape), Scores()
    for value in values:
        scores.add(value)
    assert torch.equal(scores.table(), values)


def test_nothing_of_a_file_is_kept_in_memory(tmp_path):
    written = {}
    scored = ScoredFiles(
        Wanted(output=str(tmp_path / "scores.csv")),
        ClassScores({}),
        lambda path, keys, scores: written.update(dict(zip(keys, scores.tolist(), strict=True))),
    )
    for row in range(5000):
        end = End(row, num_pieces=1, seconds=1.0, heard_s=1.0)
        scored.take([Result(str(row), f"{row}.wav", end, "mean", False, score=torch.tensor(float(row)))])
    assert len(scored._scores._open) == 5000 - 4096, "the others are one tensor"
    scored.close()
    assert written == {str(row): float(row) for row in range(5000)}
    with (tmp_path / "scores_files.csv").open(newline="") as file:
        assert [row["score"] for row in csv.DictReader(file)] == [f"{row}" for row in range(5000)]


def test_a_table_that_breaks_off_leaves_the_file_before(tmp_path):
    path = tmp_path / "table.csv"
    write_csv(path, [["key"], ["old"]])

    def rows():
        yield ["key"]
        yield ["new"]
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_csv(path, rows())
    assert path.read_text() == "key\nold\n"
    assert list(tmp_path.iterdir()) == [path]
