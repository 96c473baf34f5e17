"""Sounds of a user's own, for any task: a list with named columns, or folders."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import DataLoader

from datamodules.asd.dcase_layouts import Layout, machine_attributes
from datamodules.asd.dcase_scores import write_score_files
from datamodules.base import SplitName
from datamodules.clips import Clip, ClipTable
from datamodules.clips.search import missing_files
from datamodules.event.events import EventDataModule
from datamodules.folders.listed_clips import FilePaths, key_of, refuse_repeated, times
from datamodules.folders.listed_sounds import (
    ListedSound,
    part_of,
    paths_of_split,
    sounds_of_folder,
    sounds_of_list,
)
from datamodules.folders.score_table import write_score_table
from datamodules.folders.sound_files import Part
from datamodules.folders.source_split import hold_out, join_sources
from datamodules.protocol import ProtocolError

_OWN = frozenset({"path", "root", "key", "label", "split", "start", "end"})  # columns that are no attributes
_MACHINE = ("normal", "anomaly")
_PARTS: tuple[Part, ...] = ("train", "validation", "test")
_SHOWN = 8  # labels in a message


class ClipList(EventDataModule):
    """Clips that a list with named columns names, or that lie in folders; one head, ``class``, of the labels' names.

    What a column says is known by its name: ``path``, relative to `root`; ``label``; ``split``; ``start`` and ``end``
    of a clip in its file, in seconds; ``key``, by default the path; ``root``, a folder of that row, or a name of
    `roots`; ``source``, what no split may part, such as a speaker, a kit or a recording. Every other column, such as
    ``attack``, ``speaker``, ``codec`` or ``language``, is an attribute of its clips by its name.

    Without a list the folders in `root` are labels, ``<label>/…``, or splits and labels, ``<split>/<label>/…``.

    Labels are classes by their names, and those of `class_names`. Where these are ``normal`` and ``anomaly``, clips are
    sounds of machines: columns (or folders) ``machine``, ``section`` and ``domain`` name what they are of, by default
    one machine that is called as `root` is. Of those without a split the anomalous ones are all tested.

    Args:
        root: Folder of the sounds; None is that of `list`.
        list: List in `root`: CSV, TSV, or columns separated by white space, the first line of which names them.
        splits: Split -> a list of its own in `root`, or a folder in there, of labels; beside `list` a file of the
            paths, one a line, that are of this split, other rows being of training.
        columns: Name of a column here -> its name in the list.
        header: Names of the columns of a list without a first line of such.
        folders: What the levels of folders say, from above, such as ``[machine, split, label]``; ``-`` is nothing.
        label: Class of what has no column and no folder that says it.
        roots: Name in the column ``root`` -> folder.
        split_names: Name of a split in the list or the folders -> train, validation or test.
        tag_separator: What stands between several tags of a label: one head a tag, of the classes ``no <tag>`` and
            ``<tag>``.
        validation: Part of each class of training to hold out for validation where no split says so.
        test: As `validation`, for the test.
        fold: Another number holds out other sources.
        **settings: Of `EventDataModule`.
    """

    does_without_files = False
    published_crop = False

    def __init__(
        self,
        *,
        root: str | None = None,
        list: str | None = None,  # noqa: A002  the field's word
        splits: Mapping[str, str] | None = None,
        columns: Mapping[str, str] | None = None,
        header: Sequence[str] | None = None,
        folders: Sequence[str] | None = None,
        label: str | None = None,
        roots: Mapping[str, str] | None = None,
        split_names: Mapping[str, str] | None = None,
        tag_separator: str | None = None,
        validation: float = 0.1,
        test: float = 0.2,
        fold: int = 0,
        **settings: Any,
    ) -> None:
        if root is None and list is None:
            raise ValueError("ClipList: give data.root, the folder of the sounds, or data.list")
        super().__init__(root=str(Path(str(list)).parent) if root is None else root, **settings)
        self.held_out = {"test": test, "validation": validation}
        for name, part in self.held_out.items():
            if not 0 <= part < 1:
                raise ValueError(f"{name} is {part}: give at least 0 and less than 1")
        for name in splits or ():
            if name not in _PARTS:
                raise ValueError(f"data.splits: {name!r} is neither train, validation nor test: correct it")
        for name, given in (("header", header), ("columns", columns)):
            if given is not None and list is None and not splits:
                raise ValueError(f"data.{name} is of a list, and none is named: set data.list")
        # A list beside the root is looked for in it, as everything else.
        self.list = None if list is None else Path(list).name if root is None else list
        self.splits = {name: splits[name] for name in _PARTS if name in splits} if splits else {}
        self.columns, self.header = dict(columns or {}), header
        self.folders, self.label = folders, label
        self.roots, self.split_names = dict(roots or {}), dict(split_names or {})
        self.tag_separator, self.fold = tag_separator, fold

    @cached_property
    def heads(self) -> Mapping[str, Sequence[str]]:
        """``class`` -> names of the labels, sorted; with tags, each tag -> ``no <tag>`` and itself."""
        names = sorted({name for labels in self._labels for name in labels})
        if self.tag_separator is not None:
            if len(names) < 2:
                raise ValueError(
                    f"{self.root}: tags {', '.join(names) or 'none'}: name at least two, or set data.tag_separator to"
                    " null for one class a clip"
                )
            return {name: [f"no {name}", name] for name in names}
        if self.is_of_machines and "anomaly" not in self._known_as(names):
            names.append("anomaly")  # of normal sounds alone too there is a score
        return {"class": names}

    @cached_property
    def is_of_machines(self) -> bool:
        """Whether the classes are normal and anomalous sounds."""
        labels = {name for each in self._labels for name in each}
        return self.tag_separator is None and set(self._known_as(labels)) <= set(_MACHINE)

    @cached_property
    def year(self) -> int:
        """Edition of DCASE Task 2 by whose rules machines are evaluated: the newest where domains are named."""
        return 2025 if any(sound.values.get("domain") for sound in self._sounds) else 2020

    def split(self, name: Part) -> list[Clip]:
        """Clips of the split in the order of the list; of machines, in training, the normal ones first.

        Raises:
            ProtocolError: With the file, the line and the way out.
            ValueError: If nothing can be held out.
        """
        return self._splits[name]

    def place_of(self, clip: Clip) -> str:
        """The line that names the clip, and its file."""
        place = self._places.get(clip.key, clip.path)
        return place if place == clip.path else f"{place}: {clip.path}"

    def read_rows(self, name: SplitName) -> ClipTable:
        """As `ClipDataModule`; a file that is missing is told with the line that names it."""
        if name != "predict":
            clips, exclusions = self.split(name), self._exclusions()
            wanted = [clip for clip in clips if clip.key not in exclusions]
            if missing := missing_files(wanted):
                raise ProtocolError(
                    f"{self.place_of(missing[0])}: no such file, nor are {len(missing) - 1} others of the {len(wanted)}"
                    f" of {name}: correct the path, data.root or data.roots"
                )
        return super().read_rows(name)

    def reference_dataloader(self) -> DataLoader[Any]:
        """The training clips once more, of machines the normal ones, dealt to the ranks."""
        if not self.is_of_machines:
            return super().reference_dataloader()
        self.setup("fit")
        normal = next(iter(self.target_names.values())).index("normal")
        num_normals = int((self.rows["train"].targets == normal).sum())
        return self._ordered_loader(self.dataset("train", self.eval_crop_s), num_clips=num_normals)

    def write_scores(
        self, path: str | Path, keys: Sequence[str], scores: ArrayLike, decisions: Sequence[int] | None = None
    ) -> Path:
        """Write as CSV: ``key`` and one column a class or tag, or ``score`` and ``decision``.

        Where all files have names of DCASE Task 2, such as ``normal_id_00_00000000.wav``, the scores of a detector of
        machines are written as the challenge asks for, see `datamodules.asd.dcase_scores`.
        """
        checked = self._checked_scores(path, keys, scores)
        stems = {key: self._score_stem(key) for key in keys} if checked.ndim == 1 else {}
        if stems and all(stems.values()) and len(set(stems.values())) == len(keys):
            return write_score_files(path, keys, checked.tolist(), decisions, score_stem=stems.__getitem__)
        return write_score_table(path, keys, checked, self.target_names, decisions)

    def _score_stem(self, key: str) -> tuple[str, str] | None:
        """The end of the official score files of a clip, and its own file's name there; None if it has another."""
        clip = self._clips_by_key.get(key)
        if clip is None or "machine" not in clip.attributes:
            return None
        name = f"{clip.attributes['machine']}/{Path(clip.path).stem}"
        return next(filter(None, (Layout(year, self.root).score_stem(name) for year in (2020, 2025))), None)

    def _known_as(self, labels: Iterable[str]) -> list[str]:
        return [self.class_names.get(name, name) for name in labels]

    def _require_classes(
        self, names: Mapping[str, Sequence[str]], *, method: str = "method", complete: bool = False
    ) -> None:
        """Tells the first row whose label is none of the names."""
        known = {name for classes in names.values() for name in classes}
        unknown = Counter(
            label
            for labels in self._labels
            for label in labels
            if self.class_names.get(label, label) not in known
        )
        if unknown and self.tag_separator is None:
            row = next(row for row, labels in enumerate(self._labels) if unknown[labels[0]])
            label, counts = self._labels[row][0], sorted(unknown.items())[:_SHOWN]
            wanted = sorted(known)[:_SHOWN]
            raise ProtocolError(
                f"{self._sounds[row].place}: label {label!r} is none of {', '.join(wanted)}, which the {method} tells"
                f" apart (others than these: {', '.join(f'{name} x {count}' for name, count in counts)}): correct the"
                f" label, or name the method's class with data.class_names='{{{label}: {wanted[0]}}}'"
            )
        super()._require_classes(names, method=method, complete=complete)

    @cached_property
    def _sounds(self) -> list[ListedSound]:
        """Everything that is listed or lies in the folders, in its order, with its split where one is said."""
        if self.list is not None:
            given = paths_of_split((part, self.root / file) for part, file in self.splits.items())
            return list(self._with_splits(given))
        if not self.splits:
            return self._read(self.root, {})
        return [
            sound
            for part, place in self.splits.items()
            for sound in self._read(self.root / place, {"split": part})
        ]

    def _read(self, place: Path, values: dict[str, str]) -> list[ListedSound]:
        if place.is_file():
            found = sounds_of_list(place, self.columns, header=self.header)
        else:
            found = sounds_of_folder(place, self.folders or (("label",) if values else None), root=self.root)
        return [ListedSound(sound.place, sound.values | values) for sound in found]

    def _with_splits(self, given: dict[str, tuple[str, str]]) -> Iterator[ListedSound]:
        """Rows of the one list, with the splits that files of paths say."""
        assert self.list is not None
        unused = dict(given)
        for place, values in sounds_of_list(self.root / self.list, self.columns, header=self.header):
            unused.pop(values["path"], None)
            if self.splits:
                values = values | {"split": given.get(values["path"], ("train", ""))[0]}
            yield ListedSound(place, values)
        for path, (_, place) in unused.items():
            raise ProtocolError(f"{place}: {path} is not in {self.root / self.list}: write it as it is there")

    @cached_property
    def _labels(self) -> list[list[str]]:
        """Label of each sound, or its tags."""
        return [self._label_of(sound) for sound in self._sounds]

    def _label_of(self, sound: ListedSound) -> list[str]:
        label = sound.values.get("label") or self.label
        if self.tag_separator is not None:
            return sorted({tag.strip() for tag in (label or "").split(self.tag_separator)} - {""})
        if not label:
            raise ProtocolError(
                f"{sound.place}: no label: write one, say which column has it with data.columns='{{label: COLUMN}}',"
                " put the file into a folder of its label, or set data.label for all that have none"
            )
        return [label]

    @cached_property
    def _clips(self) -> list[Clip]:
        """A clip for each sound, each once."""
        paths, classes = FilePaths(self.root, self.roots), list(self.heads.values())
        clips = []
        for sound, labels in zip(self._sounds, self._labels, strict=True):
            start_s, stop_s = times(sound)
            key = key_of(sound, self.root, start_s, stop_s)
            if self.tag_separator is None:
                target = classes[0].index(labels[0])
            else:
                target = tuple(int(tag in labels) for tag in self.heads)
            clips.append(Clip(key, paths.of(sound), target, self._attributes(sound, key), start_s, stop_s))
        refuse_repeated(clips, self._sounds, self._said)
        return clips

    def _attributes(self, sound: ListedSound, key: str) -> dict[str, str]:
        """What evaluation groups by: columns that are none of a clip's own, and of which machine it is."""
        values = sound.values
        attributes = {name: value for name, value in values.items() if name not in _OWN}
        attributes["source"] = values.get("source") or key
        if self.is_of_machines:
            machine = values.get("machine") or self.root.resolve().name
            section, domain = values.get("section", ""), values.get("domain", "")
            attributes |= machine_attributes(machine, section, domain=domain)
        return attributes

    @cached_property
    def _said(self) -> list[Part | None]:
        """The split that each sound is said to be of."""
        return [part_of(sound, self.split_names) for sound in self._sounds]

    @cached_property
    def _clips_by_key(self) -> dict[str, Clip]:
        return {clip.key: clip for clip in self._clips}

    @cached_property
    def _places(self) -> dict[str, str]:
        return {clip.key: sound.place for clip, sound in zip(self._clips, self._sounds, strict=True)}

    @cached_property
    def _splits(self) -> dict[Part, list[Clip]]:
        clips, held = self._clips, self.held_out
        normal = np.array([self._known_as(labels) == ["normal"] for labels in self._labels])
        learnt = normal if self.is_of_machines else np.ones_like(normal)
        side = np.array(
            [
                part or ("train" if ok or not held["test"] else "test")
                for part, ok in zip(self._said, learnt, strict=True)
            ],
            dtype="<U10",
        )
        parts = join_sources([clip.attributes["source"] for clip in clips], _of_one_file(clips))
        strata = self._strata()
        for name, fraction in held.items():
            free = (side == "train") & learnt
            if name in self._said or not fraction or not free.any():
                continue
            order = [f"{self.fold} {clip.key}" for clip in compress(clips, free)]
            chosen = hold_out(parts[free], strata[free], fraction=fraction, order=order)
            if not chosen.any():
                raise ValueError(
                    f"{self.root}: nothing can be held out for {name} ({fraction}): every source is the only one of a"
                    f" class: say splits in a column or in data.splits, or set data.{name} to 0"
                )
            side[np.flatnonzero(free)[chosen]] = name
        found: dict[Part, list[Clip]] = {name: list(compress(clips, side == name)) for name in _PARTS}
        if self.is_of_machines:
            train = side == "train"
            found["train"] = [*compress(clips, train & normal), *compress(clips, train & ~normal)]
        return found

    def _strata(self) -> np.ndarray:
        """What is held out in like parts, bool (clip, …): classes or tags, of machines the instances."""
        if self.tag_separator is not None:
            return np.array([clip.target for clip in self._clips], bool)
        names = [clip.attributes["instance"] if self.is_of_machines else clip.target for clip in self._clips]
        return np.array(names)[:, None] == np.unique(np.array(names))


def _of_one_file(clips: Sequence[Clip]) -> list[tuple[int, int]]:
    """Numbers of clips that are parts of one file."""
    first: dict[str, int] = {}
    return [
        (before, row) for row, clip in enumerate(clips) if (before := first.setdefault(clip.path, row)) != row
    ]
