"""Where the years of DCASE Task 2 keep their clips, and what the names of the files say.

Sources: the data sets' descriptions on Zenodo, the official evaluators of each year, and the README of the official
baseline of 2023 and later.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datamodules.asd.dcase_attributes import NO_ATTRIBUTE, Attributes, read_attributes
from datamodules.audio import SUFFIXES
from datamodules.audio.search import is_audio, names_in
from datamodules.clips import Clip
from datamodules.protocol import ProtocolError

Subset = Literal["dev", "eval"]
Part = Literal["train", "test", "supplemental"]
YEARS = range(2020, 2027)

_NAME_2020 = re.compile(r"(?:(?P<label>normal|anomaly)_)?(?P<section>id_\d+)_\d+")
_NAME = re.compile(
    r"(?P<section>section_\d+)(?:_(?P<domain>source|target))?(?:_(?:train|test))?"
    r"(?:_(?P<label>normal|anomaly))?_\d+(?:_(?P<condition>.*))?"
)
_SUPPLEMENTAL = re.compile(r"(?P<section>section_\d+)_(?P<kind>[A-Za-z]+)_\d+_?")
TARGETS = {"normal": 0, "anomaly": 1, None: -1}
"""Label in a file's name -> class."""

_FOLDERS: dict[Part, tuple[tuple[str, ...], ...]] = {  # the first that are there count
    "train": (("train",),),
    # renamed by the official baseline, with the true names; merged by it, of 2021; as published
    "test": (("test_rename",), ("test",), ("source_test", "target_test")),
    "supplemental": (("supplemental",),),
}


@dataclass(frozen=True)
class Layout:
    """The layout of one year under a root.

    The development set lies in ``dev_data`` (or ``dev_data/raw``) and the additional training and evaluation
    sets in ``eval_data``; where neither folder is there, all machines lie in the root itself.

    Attributes:
        year: Edition of the task.
        root: Its folder.
        hidden_attributes: Take conditions that the challenge of 2024 and 2025 hid and its organisers told later, in
            ``attributes_*_correspondence.csv`` beside a machine's clips.
    """

    year: int
    root: Path
    hidden_attributes: bool = False

    @property
    def test_folders(self) -> tuple[str, ...]:
        """Folders of a machine's test clips, as published."""
        return ("source_test", "target_test") if self.year == 2021 else ("test",)

    def folder(self, subset: Subset) -> Path | None:
        """Folder that holds the machines of a subset; None where it is not there."""
        places = [self.root / f"{name}_data" for name in ("dev", "eval")]
        wanted = self.root / f"{subset}_data" if any(place.is_dir() for place in places) else self.root
        return next((place for place in (wanted / "raw", wanted) if place.is_dir()), None)

    def machines(self, subset: Subset) -> list[str]:
        """Names of the machines of a subset, sorted."""
        folder = self.folder(subset)
        found = folder.iterdir() if folder else ()
        return sorted(path.name for path in found if any(map(_folders(path).get, ("train", "test"))))

    def clips(self, subset: Subset, machine: str, part: Part) -> list[Clip]:
        """Clips of a machine in the order of their names; of ``supplemental`` the clean sounds of the machine.

        Raises:
            ProtocolError: If a file's name is not of the year's form, or an attribute file is faulty.
        """
        folder = self.folder(subset)
        assert folder is not None
        folder /= machine
        known = read_attributes(folder, hidden=self.hidden_attributes)
        shared: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}  # equal attributes are one object
        clips = []
        for place in _folders(folder)[part]:
            for name in sorted(filter(is_audio, names_in(folder / place))):
                if name.startswith("."):
                    continue
                stem, path = name.rpartition(".")[0], f"{folder}/{place}/{name}"
                parsed = self._supplemental(path, machine) if part == "supplemental" else None
                if parsed is None and part == "supplemental":
                    continue
                target, attributes = parsed or self.parse(path, machine, part, known)
                attributes = shared.setdefault(tuple(attributes.items()), attributes)
                clips.append(Clip(f"{machine}/{stem}", path, target, attributes))
        known.tell_contradictions()
        return clips

    def with_supplemental(self, subset: Subset) -> list[str]:
        """Machines of a subset that have supplemental clips."""
        folder = self.folder(subset)
        return [name for name in self.machines(subset) if folder and _folders(folder / name)["supplemental"]]

    def score_stem(self, key: str) -> tuple[str, str] | None:
        """For a key of this data set: the end of its score files' name, and its own file's name; else None."""
        machine, _, name = key.rpartition("/")
        match = (_NAME_2020 if self.year == 2020 else _NAME).fullmatch(name)
        if not match or not machine or "/" in machine or Path(name).suffix.lower() in SUFFIXES:
            return None
        endings = {2020: "", 2021: f"_{match.groupdict().get('domain')}_test"}
        return f"{machine}_{match['section']}{endings.get(self.year, '_test')}", f"{name}.wav"

    def parse(
        self, path: str, machine: str, part: Part, known: Attributes | None = None
    ) -> tuple[int, dict[str, str]]:
        """Class and attributes of a clip by its name, and by what is `known` of it besides.

        Raises:
            ProtocolError: If the name is not of the year's form.
        """
        stem = Path(path).name.rpartition(".")[0]
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
            attributes["condition"] = "" if condition in NO_ATTRIBUTE else condition
        if known is not None:
            attributes = known.of(stem, attributes)
        return TARGETS[found["label"]], attributes

    def _supplemental(self, path: str, machine: str) -> tuple[int, dict[str, str]] | None:
        """As `parse`, of clean sounds of the machine; None for noise."""
        match = _SUPPLEMENTAL.fullmatch(Path(path).name.rpartition(".")[0])
        if not match:
            raise ProtocolError(
                f"{path}: not the name of a supplemental clip, which is section_00_machine_0001_.wav: rename or"
                " remove the file"
            )
        attributes = machine_attributes(machine, match["section"])
        return (0, {**attributes, "condition": "supplemental"}) if match["kind"] == "machine" else None

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


def _folders(machine: Path) -> dict[Part, Sequence[str]]:
    """Part -> the folders of a machine that hold it."""

    def there(choices: tuple[tuple[str, ...], ...]) -> Sequence[str]:
        found = ([name for name in names if (machine / name).is_dir()] for names in choices)
        return next(filter(None, found), [])

    return {part: there(choices) for part, choices in _FOLDERS.items()}
