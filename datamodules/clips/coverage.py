"""How much of a data set's list is at hand, and which clips are done without, with the reason.

Data sets of links lose clips every year: results of other coverage are not comparable, so that it is told.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from datamodules.files import write_csv
from datamodules.protocol import ProtocolError, read_table

ABSENT = "no such file"
"""Reason of a clip that is listed but has no file."""


class Coverage(NamedTuple):
    """What of a split's list is used.

    Attributes:
        listed: Clips in the data set's list.
        found: Those that are used.
        digest: First 16 hexadecimal digits of sha256 over the sorted ids of the used clips, one a line: what
            ``sort ids.txt | sha256sum`` gives in the C locale. Two machines with equal digests use equal clips.
        left_out: Id -> reason of every other clip.
    """

    listed: int
    found: int
    digest: str
    left_out: Mapping[str, str]

    @property
    def share(self) -> float:
        """Part of the list that is used, in [0, 1]."""
        return self.found / self.listed if self.listed else 1.0

    def __str__(self) -> str:
        excluded = sum(reason != ABSENT for reason in self.left_out.values())
        return (
            f"{self.found} of {self.listed} listed clips ({self.share:.1%}; {len(self.left_out) - excluded} absent,"
            f" {excluded} excluded), sha256 of their sorted ids {self.digest}"
        )


def coverage(keys: Iterable[str], left_out: Mapping[str, str]) -> Coverage:
    """Count the listed `keys` against those of `left_out`, id -> reason."""
    keys = list(keys)
    found = sorted(key for key in keys if key not in left_out)
    content = "".join(f"{key}\n" for key in found).encode("utf-8", "surrogateescape")
    return Coverage(len(keys), len(found), hashlib.sha256(content).hexdigest()[:16], left_out)


def read_exclusions(path: Path) -> dict[str, str]:
    """Id -> reason of a list that `write_exclusions` wrote.

    Raises:
        ProtocolError: If the list is not of that form.
    """
    rows = read_table(path, num_columns=2)
    place, header = next(rows)
    if header != ["key", "reason"]:
        raise ProtocolError(
            f"{place}: begins with {header} where key,reason was expected: correct the header"
        )
    return {key: reason for _, (key, reason) in rows}


def write_exclusions(path: str | Path, exclusions: Mapping[str, str]) -> None:
    """Write id -> reason as CSV with the header ``key,reason``, sorted by id."""
    write_csv(path, [("key", "reason"), *sorted(exclusions.items())])
