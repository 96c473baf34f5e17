"""Repeats rows of README.md, "Public reports": `python tests/faults/repeat.py 3 17`, or all without a number.

Prints what a row's command says now, and whether all is there that the table says was seen.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).with_name("README.md")
_CODE = re.compile(r"`` (.*?) ``|`(.*?)`")


class Row(NamedTuple):
    """A row: its number, the report's address, the command, what it printed, and where the case is tested."""

    number: int
    report: str
    command: str
    seen: list[str]
    outcome: str


def rows() -> list[Row]:
    """All rows of the table."""
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 7 and cells[0].isdigit():
            number, report, _, _, command, seen, outcome = (cell.replace("\\|", "|") for cell in cells)
            found.append(Row(int(number), report, "".join(_code(command)), _code(seen), outcome))
    return found


def _code(cell: str) -> list[str]:
    return [long or short for long, short in _CODE.findall(cell)]


def repeat(row: Row) -> tuple[bool, str]:
    """Runs a row's command; whether it printed what was seen, in that order, and all that it printed."""
    script = f". tests/faults/toy.sh; {row.command}"
    process = subprocess.run(
        ["bash", "-c", script], cwd=PAGE.parents[2], capture_output=True, text=True, check=False
    )
    output = process.stdout + process.stderr
    pattern = ".*".join(map(re.escape, row.seen))
    return re.search(pattern, output, re.DOTALL) is not None, output


if __name__ == "__main__":
    wanted = set(map(int, sys.argv[1:]))
    same = []
    for each in rows():
        if (not wanted or each.number in wanted) and each.command:
            is_same, printed = repeat(each)
            same.append(is_same)
            print(f"{each.number}: {'as the table says' if is_same else 'OTHERWISE'}\n{printed}", flush=True)
    sys.exit(0 if all(same) else 1)
