"""Sounds of a user's own, for any task: a list with named columns, or folders."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import DataLoader

from datamodules.asd.dcase_layouts import Layout, machine_attributes
from datamodules.asd.dcase_scores import write_score_files
from datamodules.asd.proxy_outliers import ProxyOutliers
from datamodules.audio.errors import CHECK_COMMAND
from datamodules.base import SplitName
from datamodules.clips import Clip, ClipTable
from datamodules.clips.class_names import as_texts
from datamodules.clips.search import missing_files
from datamodules.event.events import EventDataModule
from datamodules.folders.division import Division, checked_parts, pairs_of_one_file, tell_leaks, wanted_parts
from datamodules.folders.listed_clips import FilePaths, ListedClip, key_of, note_repeated, times
from datamodules.folders.listed_sounds import (
    ListedSound,
    part_of,
    sounds_of_folder,
    sounds_of_list,
    with_splits,
)
from datamodules.folders.machines import MACHINE, Machines
from datamodules.folders.near_duplicates import Survey, survey
from datamodules.folders.score_table import write_score_table
from datamodules.folders.sound_files import Part
from datamodules.loading.samplers import ProxyBatchSampler, TrainSampler
from datamodules.protocol import Faults

_OWN = frozenset({"path", "root", "key", "label", "split", "start", "end"})  # columns that are no attributes
_PARTS: tuple[Part, ...] = ("train", "validation", "test")
_SHOWN = 8  # labels in a message
_HINT = f" ({CHECK_COMMAND})"


class ClipList(EventDataModule):
    """Clips that a list with named columns names, or that lie in folders; one head, ``class``, of the labels' names.

    What a column says is known by its name: ``path``, relative to `root`; ``label``; ``split``; ``start`` and ``end``
    of a clip in its file, in seconds; ``key``, by default the path; ``root``, a folder of that row, or a name of
    `roots`; ``source``, what no split may part, such as a speaker, a kit or a recording. Every other column, such as
    ``attack``, ``speaker``, ``codec`` or ``language``, is an attribute of its clips by its name.

    Without a list the folders in `root` are labels, ``<label>/…``, or splits and labels, ``<split>/<label>/…``.

    Labels are classes by their names, and those of `class_names`. Where these are ``normal`` and ``anomaly``, clips are
    sounds of machines: columns (or folders) ``machine``, ``section`` and ``domain`` name what they are of, by default
    one machine that is called as `root` is. Of those without a split the anomalous ones are all tested; those that are
    said to be of training are proxy outliers.

    Where a part is held out, the beginnings of all files are listened to once: files of the same recording stay on one
    side, and those that cannot be read are told. ``python -m datamodules.check`` compares those of given splits.

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
        validation: Part of each class of training to hold out for validation where no split says so, or the names of
            sources.
        test: As `validation`, for the test.
        fold: Another number holds out other sources.
        near_duplicates: As in `AudioFolder`.
        instance: Machine, or ``MACHINE/SECTION``, whose anomalies are looked for; None is all.
        proxy_outliers: What stands in for the anomalies of training where the list has none, see
            `datamodules.asd.proxy_outliers`; None trains on normal sounds alone.
        proxy_root: Folder of proxy outliers from elsewhere.
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
        validation: float | list[str] = 0.1,
        test: float | list[str] = 0.2,
        fold: int = 0,
        near_duplicates: float | None = 0.9,
        instance: str | None = None,
        proxy_outliers: ProxyOutliers | None = None,
        proxy_root: str | None = None,
        **settings: Any,
    ) -> None:
        if root is None and list is None:
            raise ValueError("ClipList: give data.root, the folder of the sounds, or data.list")
        super().__init__(root=str(Path(str(list)).parent) if root is None else root, **settings)
        self.held_out = checked_parts(test=test, validation=validation)
        for name in splits or ():
            if name not in _PARTS:
                raise ValueError(f"data.splits: {name!r} is neither train, validation nor test: correct it")
        for name, given in (("header", header), ("columns", columns)):
            if given is not None and list is None and not splits:
                raise ValueError(f"data.{name} is of a list, and none is named: set data.list")
        # A list beside the root is looked for in it, as everything else.
        self.list = None if list is None else Path(list).name if root is None else list
        self.splits: dict[Part, str] = (
            {name: splits[name] for name in _PARTS if name in splits} if splits else {}
        )
        self.columns, self.header = as_texts("columns", columns), header
        self.folders, self.label = folders, label
        self.roots = as_texts("roots", roots)
        self.split_names = as_texts("split_names", split_names)
        self.tag_separator, self.fold, self.near_duplicates = tag_separator, fold, near_duplicates
        self.instance = instance
        self.proxy_outliers: ProxyOutliers | None = proxy_outliers
        self.proxy_root = Path(proxy_root).expanduser() if proxy_root else None

    def prepare_data(self) -> None:
        """Listen to all files once, where a part is to be held out."""
        super().prepare_data()
        if not self.predict and self.root.is_dir():
            _ = self._survey

    @cached_property
    def heads(self) -> Mapping[str, Sequence[str]]:
        """``class`` -> names of the labels, sorted; with tags, each tag -> ``no <tag>`` and itself."""
        names = sorted({name for clip in self._listed for name in clip.labels})
        if self.tag_separator is not None:
            if len(names) < 2:
                raise ValueError(
                    f"{self.root}: tags {', '.join(names) or 'none'}: name at least two, or set data.tag_separator to"
                    " null for one class a clip"
                )
            return {name: [f"no {name}", name] for name in names}
        if self.is_of_machines:  # of normal sounds alone too there is a score
            names += [name for name in MACHINE if name not in self._known_as(names)]
        return {"class": names}

    @cached_property
    def is_of_machines(self) -> bool:
        """Whether the classes are normal and anomalous sounds."""
        labels = {name for clip in self._listed for name in clip.labels}
        return self.tag_separator is None and set(self._known_as(labels)) <= set(MACHINE)

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
        """As `ClipDataModule`; files that are missing or cannot be read are told with the lines that name them."""
        if name != "predict":
            # A test that cannot be made is told before the training.
            self._require_files(*(_PARTS if name == "train" else (name,)))
        return super().read_rows(name)

    def _require_files(self, *names: Part) -> None:
        exclusions = self._exclusions()
        clips = [clip for name in names for clip in self.split(name) if clip.key not in exclusions]
        faults = Faults()
        for clip in missing_files(clips):
            faults.add(self.place_of(clip), "no such file", "correct the path, data.root or data.roots")
        faults.refuse()
        for clip in clips:
            if why := self._unreadable.get(clip.path):
                way_out = (
                    "correct them, or leave them out: python -m datamodules.check --exclude writes their list"
                )
                faults.add(self.place_of(clip), why, way_out)
        faults.refuse()

    def train_sampler(self) -> TrainSampler:
        """As `EventDataModule`; of machines halves of normal clips and proxy outliers, where there are such."""
        if self.is_of_machines:
            names = next(iter(self.target_names.values()))
            is_outlier = self.rows["train"].targets != names.index("normal")
            if is_outlier.any():
                return ProxyBatchSampler(is_outlier, **self.order_settings)
        return super().train_sampler()

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
        """Tells the rows whose label is none of the names."""
        known = {name for classes in names.values() for name in classes}
        wanted = sorted(known)[:_SHOWN]
        faults = Faults()
        for clip in self._listed if self.tag_separator is None else ():
            (label,) = clip.labels
            if self.class_names.get(label, label) not in known:
                what = f"label {label!r} is none of {', '.join(wanted)}, which the {method} tells apart"
                way_out = (
                    f"correct it, or name the method's class with data.class_names='{{{label}: {wanted[0]}}}'"
                )
                faults.add(clip.place, what, way_out)
        faults.refuse()
        super()._require_classes(names, method=method, complete=complete)

    @cached_property
    def _sounds(self) -> list[ListedSound]:
        """Everything that is listed or lies in the folders, in its order, with its split where one is said."""
        if self.list is not None:
            rows = sounds_of_list(self.root / self.list, self.columns, header=self.header)
            if not self.splits:
                return list(rows)
            files: dict[Part, Path] = {part: self.root / file for part, file in self.splits.items()}
            return list(with_splits(rows, files, of=self.root / self.list))
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

    @cached_property
    def _listed(self) -> list[ListedClip]:
        """What is said of each sound."""
        paths, faults, clips = FilePaths(self.root, self.roots), Faults(), []
        for sound in map(paths.as_here, self._sounds):
            if not sound.values["path"]:
                faults.add(sound.place, "names no file", "write its path, or remove the line")
                continue
            start_s, stop_s = times(sound, faults)
            key, part = key_of(sound, self.root, start_s, stop_s), part_of(sound, self.split_names, faults)
            labels = self._labels_of(sound, faults)
            clips.append(ListedClip(sound.place, labels, part, paths.of(sound), key, start_s, stop_s))
        note_repeated(clips, faults)
        faults.refuse()
        return clips

    def _labels_of(self, sound: ListedSound, faults: Faults) -> list[str]:
        """Label of a sound, or its tags."""
        label = sound.values.get("label") or self.label
        if self.tag_separator is not None:
            return sorted({tag.strip() for tag in (label or "").split(self.tag_separator)} - {""})
        if not label:
            faults.add(
                sound.place,
                "no label",
                "write one, say which column has it with data.columns='{label: COLUMN}', put the file into a folder of"
                " its label, or set data.label for all that have none",
            )
        return [label or ""]

    @cached_property
    def _clips(self) -> list[Clip]:
        """A clip for each sound, each once."""
        (classes, *_), clips = self.heads.values(), []
        for sound, listed in zip(self._sounds, self._listed, strict=True):
            if self.tag_separator is None:
                target = classes.index(listed.labels[0])
            else:
                target = tuple(int(tag in listed.labels) for tag in self.heads)
            attributes = self._attributes(sound, listed.key)
            clips.append(Clip(listed.key, listed.path, target, attributes, listed.start_s, listed.stop_s))
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
    def _clips_by_key(self) -> dict[str, Clip]:
        return {clip.key: clip for clip in self._clips}

    @cached_property
    def _places(self) -> dict[str, str]:
        return {clip.key: clip.place for clip in self._listed}

    @cached_property
    def _is_normal(self) -> np.ndarray:
        """Of machines, what is learnt from, bool (clip,)."""
        return np.array([self._known_as(clip.labels) == ["normal"] for clip in self._listed])

    @cached_property
    def _files(self) -> list[str]:
        """Each file once."""
        return list(dict.fromkeys(clip.path for clip in self._listed))

    @cached_property
    def _survey(self) -> Survey:
        """What listening to the files told, where a part is to be held out."""
        if self.near_duplicates is None or not wanted_parts(self.held_out, [c.part for c in self._listed]):
            return Survey({}, {}, [])
        return survey(self._files, threshold=self.near_duplicates, allow_truncated=self.allow_truncated)

    @cached_property
    def _unreadable(self) -> dict[str, str]:
        """File -> why it cannot be read."""
        faults = ((self._files[row], why) for row, why in self._survey.faults.items())
        return {path: why.removeprefix(f"{path}: ").removesuffix(_HINT) for path, why in faults}

    @cached_property
    def _twins(self) -> list[tuple[int, int]]:
        """Numbers of clips whose files hold the same recording, of each file the first."""
        first = {clip.path: row for row, clip in reversed(list(enumerate(self._listed)))}
        return [(first[self._files[a]], first[self._files[b]]) for a, b in self._survey.pairs]

    @cached_property
    def _splits(self) -> dict[Part, list[Clip]]:
        clips, normal = self._clips, self._is_normal
        learnt = normal if self.is_of_machines else np.ones_like(normal)
        said = [clip.part for clip in self._listed]
        side = np.array(
            [
                part or ("train" if ok or not self.held_out["test"] else "test")
                for part, ok in zip(said, learnt, strict=True)
            ],
            dtype="<U10",
        )
        sources, singly = [clip.attributes["source"] for clip in clips], [clip.key for clip in clips]
        parts_of_files, twins = pairs_of_one_file(clips), self._twins
        ways_out = {
            "near_duplicates to null, for files that only sound alike": (sources, parts_of_files),
            "columns without source to split single files": (singly, parts_of_files + twins),
            "columns without source and near_duplicates to null to split single files": (
                singly,
                parts_of_files,
            ),
        }
        division = Division(
            self.root, clips, self._strata(), pairs=parts_of_files + twins, fold=self.fold, ways_out=ways_out
        )
        for name, wanted in wanted_parts(self.held_out, said).items():
            if (free := (side == "train") & learnt).any():
                side[division.hold_out(wanted, free=free, name=name)] = name
        tell_leaks(self.root, clips, side, twins)
        found: dict[Part, list[Clip]] = {name: list(compress(clips, side == name)) for name in _PARTS}
        if not self.is_of_machines:
            return found
        machines = Machines(self.root, self._known_as(self.heads["class"]), self.instance)
        return machines.chosen(found, proxy_outliers=self.proxy_outliers, proxy_root=self.proxy_root)

    def _strata(self) -> np.ndarray:
        """What is held out in like parts, bool (clip, …): classes or tags, of machines the instances."""
        if self.tag_separator is not None:
            return np.array([clip.target for clip in self._clips], bool)
        names = [clip.attributes["instance"] if self.is_of_machines else clip.target for clip in self._clips]
        return np.array(names)[:, None] == np.unique(np.array(names))
