"""Where the years of DCASE Task 2 keep their clips, and what the names of the files say.

Sources: the data sets' descriptions on Zenodo and the official evaluators of each year.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datamodules.audio import SUFFIXES
from datamodules.audio.search import is_audio, names_in
from datamodules.clips import Clip
from datamodules.protocol import ProtocolError

Subset = Literal["dev", "eval"]
Part = Literal["train", "test"]
YEARS = range(2020, 2026)

_NAME_2020 = re.compile(r"(?:(?P<label>normal|anomaly)_)?(?P<section>id_\d+)_\d+")
_NAME = re.compile(
    r"(?P<section>section_\d+)(?:_(?P<domain>source|target))?(?:_(?:train|test))?"
    r"(?:_(?P<label>normal|anomaly))?_\d+(?:_(?P<condition>.*))?"
)
TARGETS = {"normal": 0, "anomaly": 1, None: -1}
"""Label in a file's name -> class."""

_NO_ATTRIBUTE = {"", "noAttribute"}


@dataclass(frozen=True)
class Layout:
    """The layout of one year under a root.

    The development set lies in ``dev_data`` (or ``dev_data/raw``) and the additional training and evaluation
    sets in ``eval_data``; where neither folder is there, all machines lie in the root itself.
    """

    year: int
    root: Path

    @property
    def test_folders(self) -> tuple[str, ...]:
        """Folders of a machine's test clips."""
        return ("source_test", "target_test") if self.year == 2021 else ("test",)

    def folder(self, subset: Subset) -> Path | None:
        """Folder that holds the machines of a subset; None where it is not there."""
        places = [self.root / f"{name}_data" for name in ("dev", "eval")]
        wanted = self.root / f"{subset}_data" if any(place.is_dir() for place in places) else self.root
        return next((place for place in (wanted / "raw", wanted) if place.is_dir()), None)

    def machines(self, subset: Subset) -> list[str]:
        """Names of the machines of a subset, sorted."""
        folder = self.folder(subset)
        parts = ("train", *self.test_folders)
        found = folder.iterdir() if folder else ()
        return sorted(path.name for path in found if any((path / part).is_dir() for part in parts))

    def clips(self, subset: Subset, machine: str, part: Part) -> list[Clip]:
        """Clips of a machine in the order of their names.

        Raises:
            ProtocolError: If a file's name is not of the year's form, or an attribute file is faulty.
        """
        folder = self.folder(subset)
        assert folder is not None
        folder /= machine
        columns = dict(pair for path in sorted(folder.glob("attributes_*.csv")) for pair in _attributes(path))
        shared: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}  # equal attributes are one object
        clips = []
        for place in ("train",) if part == "train" else self.test_folders:
            for name in sorted(filter(is_audio, names_in(folder / place))):
                if name.startswith("."):
                    continue
                stem, path = name.rpartition(".")[0], f"{folder}/{place}/{name}"
                target, attributes = self._parse(path, stem, machine, part)
                attributes = columns.get(stem, {}) | attributes
                attributes = shared.setdefault(tuple(attributes.items()), attributes)
                clips.append(Clip(f"{machine}/{stem}", path, target, attributes))
        return clips

    def score_stem(self, key: str) -> tuple[str, str] | None:
        """For a key of this data set: the end of its score files' name, and its own file's name; else None."""
        machine, _, name = key.rpartition("/")
        match = (_NAME_2020 if self.year == 2020 else _NAME).fullmatch(name)
        if not match or not machine or "/" in machine or Path(name).suffix.lower() in SUFFIXES:
            return None
        endings = {2020: "", 2021: f"_{match.groupdict().get('domain')}_test"}
        return f"{machine}_{match['section']}{endings.get(self.year, '_test')}", f"{name}.wav"

    def _parse(self, path: str, stem: str, machine: str, part: Part) -> tuple[int, dict[str, str]]:
        match = (_NAME_2020 if self.year == 2020 else _NAME).fullmatch(stem)
        if not match or (part == "train" and match["label"] != "normal"):
            raise ProtocolError(
                f"{path}: not the name of a {part} clip of {self.year}, which is {self._form(part)}: rename or"
                " remove the file, or correct year"
            )
        found = match.groupdict()
        attributes = machine_attributes(machine, match["section"], domain=found.get("domain") or "")
        if self.year > 2020:
            condition = found["condition"] or ""
            attributes["condition"] = "" if condition in _NO_ATTRIBUTE else condition
        return TARGETS[found["label"]], attributes

    def _form(self, part: Part) -> str:
        if self.year == 2020:
            return "normal_id_00_00000000.wav" if part == "train" else "[normal_|anomaly_]id_00_00000000.wav"
        if part == "train":
            return "section_00_source_train_normal_0000[_ATTRIBUTES].wav"
        return "section_00[_source|_target][_test][_normal|_anomaly]_0000[_ATTRIBUTES].wav"


def machine_attributes(machine: str, section: str, *, domain: str = "") -> dict[str, str]:
    """What every clip of a machine has as `Clip.attributes`; a machine without sections is one instance."""
    instance = f"{machine}/{section}" if section else machine
    return {"machine": machine, "section": section, "domain": domain, "instance": instance}


def _attributes(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """File stem -> attributes of a table with columns ``file_name, d1p, d1v, d2p, d2v, ...`` (name, value)."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        for number, (name, *pairs) in enumerate((row for row in csv.reader(file) if row), start=1):
            if name == "file_name":
                continue
            if not name.endswith(".wav"):
                raise ProtocolError(
                    f"{path}:{number}: begins with {name!r} where the name of a .wav file was expected: compare"
                    " with the data set's own table"
                )
            columns = zip(pairs[::2], pairs[1::2], strict=False)
            yield Path(name).stem, {name: value for name, value in columns if name not in _NO_ATTRIBUTE}
