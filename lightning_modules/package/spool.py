"""What waits for the end of a long prediction, on disk and in compact tables rather than as objects in memory."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

_BLOCK = 4096


class Rows:
    """Rows of a table in the order in which they came, in a file that nobody sees."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # lives as long as the rows
        self._columns: dict[tuple[str, ...], None] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Takes a row, by column."""
        self._columns.setdefault(tuple(row))
        json.dump(row, self._file)
        self._file.write("\n")

    def table(self) -> Iterator[list[Any]]:
        """The header, of all columns, those of the longest rows first, and the rows."""
        longest_first = sorted(self._columns, key=len, reverse=True)
        columns = list(dict.fromkeys(name for names in longest_first for name in names))
        yield columns
        self._file.seek(0)
        for line in self._file:
            row = json.loads(line)
            yield [row.get(name, "") for name in columns]


class Scores:
    """Scores, () or (class,), packed into tensors as they come."""

    def __init__(self) -> None:
        self._blocks: list[Tensor] = []
        self._open: list[Tensor] = []

    def add(self, score: Tensor) -> None:
        """Takes the next one."""
        self._open.append(score)
        if len(self._open) == _BLOCK:
            self._close()

    def table(self) -> Tensor:
        """All of them, (file,) or (file, class)."""
        self._close()
        return torch.cat(self._blocks)

    def _close(self) -> None:
        if self._open:
            self._blocks.append(torch.stack(self._open))
            self._open = []
