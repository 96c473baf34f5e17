"""The list of what went where: CSV and JSON, names escaped as `names.escape` tells."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from datamodules.audio.names import escape

NAME = "sorted"
"""Name of the list in the target, without its ending."""


@dataclass
class Manifest:
    """What became of every file of a library.

    Attributes:
        classes: Of the tagger, in its order.
        probabilities: Path in the library -> probability of every class.
        filed: Path -> entries in the target, ``tag/name``, from the most probable tag on.
        unsorted: Path -> why it has none.
    """

    classes: Sequence[str]
    probabilities: dict[str, Sequence[float]] = field(default_factory=dict)
    filed: dict[str, list[str]] = field(default_factory=dict)
    unsorted: dict[str, str] = field(default_factory=dict)

    def csv(self) -> str:
        """One row a file and tag, one a file without; the header names the classes as ``p(class)``."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["path", "tag", "filed", "unsorted", *(f"p({name})" for name in self.classes)])
        for path in sorted(self.filed.keys() | self.unsorted.keys()):
            reason = self.unsorted.get(path, "")
            numbers = [f"{value:.7g}" for value in self.probabilities.get(path, ())]
            for entry in self.filed.get(path) or [""]:
                rows.writerow([escape(path), entry.split("/", 1)[0], escape(entry), escape(reason), *numbers])
        return text.getvalue()

    def json(self, settings: Mapping[str, object]) -> str:
        """The same as an object, under the settings of the sort."""
        files = [
            {
                "path": escape(path),
                "filed": [escape(entry) for entry in self.filed.get(path, [])],
                "unsorted": escape(self.unsorted[path]) if path in self.unsorted else None,
                "probabilities": dict(zip(self.classes, self.probabilities.get(path, ()), strict=False)),
            }
            for path in sorted(self.filed.keys() | self.unsorted.keys())
        ]
        return json.dumps({**settings, "files": files}, indent=1, ensure_ascii=False) + "\n"
