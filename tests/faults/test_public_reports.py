"""The table of public reports can be read by `repeat`, and names tests that exist."""

import re
from pathlib import Path

from repeat import rows

TESTS = Path(__file__).parents[1]


def test_every_row_can_be_repeated_from_the_table_alone():
    found = rows()
    assert [row.number for row in found] == list(range(1, len(found) + 1))
    assert len({row.report for row in found}) == len(found) >= 40
    assert all(row.command.startswith("toy") == bool(row.seen) for row in found)
    assert len([row for row in found if row.command]) >= 25


def test_the_tests_that_rows_name_exist():
    named = {name for row in rows() for name in re.findall(r"(?:\w+/)*test_\w+", row.outcome)}
    assert len(named) >= 8
    assert {name for name in named if not (TESTS / f"{name}.py").is_file()} == set()
