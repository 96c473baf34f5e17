"""A folder of labelled sounds: one folder a class, or a list of tags; split by source, twins on one side."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from lightning_utilities.core.rank_zero import rank_zero_info
from numpy.typing import ArrayLike

from datamodules.clips import Clip
from datamodules.demo.one_shots import ONE_SHOTS_ROOT, write_one_shots
from datamodules.event.events import EventDataModule, read_classes
from datamodules.folders.division import Division, checked_parts, tell_leaks, wanted_parts
from datamodules.folders.near_duplicates import Survey
from datamodules.folders.score_table import write_score_table
from datamodules.folders.sound_files import Part, Sound, SoundFiles, sounds_in_folders, tagged_sounds
from datamodules.protocol import ProtocolError


class AudioFolder(EventDataModule):
    """Sounds in ``<root>/<class>/``, at any depth, or in the layout ``<root>/{Train,Val,Test}/<class>/``.

    One head, ``class``, of the folders' names; with `labels` one head a tag, of the classes ``no <tag>`` and
    ``<tag>``. A clip's key is its path in `root`, its attribute ``source`` what `source` finds. Files that cannot be
    decoded or begin silent are left out and named in `coverage`.

    A random split of one-shots tests on other hits of the drums that were trained. Here a source is on one side as a
    whole, and so are files of the same recording; a class of a single source can only be trained.

    Args:
        root: Folder of the sounds. The default is a synthetic corpus, made where it is missing.
        labels: CSV file of tags in `root`, whose header names the column ``file`` and those of `tag_columns`; None
            takes the folders as classes.
        tag_columns: Columns of tags, several tags in one separated by ``;``.
        classes_file: Classes and their order, as CSV with the header ``head,index,name``; None sorts the names.
        source: Regular expression whose first group, searched in the path within `root`, names a file's source; a
            file without is a source of its own, and so is every file with null. The default is what stands before
            ``__`` in the file's name; ``([^/]+)/[^/]*$`` is the folder.
        validation: Part of each class to hold out for validation, or the names of sources; not used where folders
            give the split.
        test: As `validation`, for the test.
        fold: Another number holds out other sources.
        near_duplicates: Normalised cross-correlation above which files are the same recording; null listens to none,
            which spares large libraries the time.
        from_start: Train on the beginning of a clip, where one-shots have their attack; otherwise on random crops.
        **settings: Of `EventDataModule`.
    """

    published_crop = False
    demo_root = Path(ONE_SHOTS_ROOT)
    demo_writer = staticmethod(write_one_shots)

    def __init__(
        self,
        *,
        root: str = ONE_SHOTS_ROOT,
        labels: str | None = None,
        tag_columns: Sequence[str] = ("tags",),
        classes_file: str | None = None,
        source: str | None = r"([^/]+?)__[^/]*$",
        validation: float | list[str] = 0.1,
        test: float | list[str] = 0.2,
        fold: int = 0,
        near_duplicates: float | None = 0.9,
        from_start: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(root=root, **settings)
        self.labels, self.tag_columns = labels, list(tag_columns)
        self.classes_file = Path(classes_file).expanduser() if classes_file else None
        self.source = _pattern(source)
        self.held_out = checked_parts(test=test, validation=validation)
        self.fold, self.near_duplicates, self.from_start = fold, near_duplicates, from_start

    def prepare_data(self) -> None:
        """Make the demo corpus where it is the root, and listen to all files once."""
        super().prepare_data()
        if self.root.is_dir():
            _ = self._survey

    @cached_property
    def files(self) -> SoundFiles:
        """What lies in the root, which may still change until the first look."""
        return SoundFiles(self.root)

    @cached_property
    def heads(self) -> Mapping[str, Sequence[str]]:
        """``class`` -> names of the folders; with tags, each tag -> ``no <tag>`` and itself."""
        if self.classes_file:
            return read_classes(self.classes_file)
        names = sorted({name for sound in self._sounds for name in sound.labels})
        if self.labels is None:
            return {"class": names}
        if len(names) == 1:
            raise ValueError(
                f"{self.root / self.labels}: one tag, {names[0]!r}: name at least two, or put the files in folders of"
                " two classes"
            )
        return {name: [f"no {name}", name] for name in names}

    @property
    def stop_s(self) -> float | None:
        """The end of the training crop, where one-shots are heard from their attack."""
        return self.train_crop_s if self.from_start else None

    def split(self, name: Part) -> list[Clip]:
        """Clips of the split in the order of their paths.

        Raises:
            ValueError: If there is no sound, the list of tags is faulty, or no source can be held out.
        """
        return self._splits[name]

    def write_scores(
        self, path: str | Path, keys: Sequence[str], scores: ArrayLike, decisions: Sequence[int] | None = None
    ) -> Path:
        """Write as CSV: ``key`` and one column a class or tag, or ``score``; `path` gets the suffix ``.csv``.

        All else is as in `EventDataModule`.
        """
        checked = self._checked_scores(path, keys, scores)
        return write_score_table(path, keys, checked, self.target_names)

    def _exclusions(self) -> dict[str, str]:
        """Files that cannot be used, and those of the list `excluded`."""
        unusable = self._survey.faults | self._survey.silent
        return {self._clips[row].key: why for row, why in unusable.items()} | super()._exclusions()

    @cached_property
    def _sounds(self) -> list[Sound]:
        """Every sound, sorted by its path."""
        if self.labels is None:
            found = sounds_in_folders(self.files.keys())
        else:
            listed = tagged_sounds(self.root / self.labels, self.tag_columns)
            found = (sound for sound in listed if self.files.has(sound.key))
        sounds = sorted(found, key=lambda sound: sound.key)
        if not sounds:
            raise ValueError(
                f"{self.root}: no sound in folders of classes: set root to a folder with <class>/<name>.wav, or labels"
                " to a list of tags"
            )
        return sounds

    @cached_property
    def _clips(self) -> list[Clip]:
        index = {name: i for i, name in enumerate(self.heads["class"])} if self.labels is None else {}
        clips = []
        for key, _, labels in self._sounds:
            if self.labels is None and labels[0] not in index:
                raise ProtocolError(
                    f"{self.classes_file}: class {labels[0]!r} of {key} is missing: add it, or set classes_file to null"
                )
            target = index[labels[0]] if index else tuple(int(tag in labels) for tag in self.heads)
            found = self.source.search(key) if self.source else None
            source = found[1] if found else key
            path = f"{self.root}/{key}{self.files.suffix}"
            clips.append(Clip(key, path, target, {"source": source}, stop_s=self.stop_s))
        return clips

    @cached_property
    def _survey(self) -> Survey:
        if self.near_duplicates is None:
            return Survey({}, {}, [])
        keys = [clip.key for clip in self._clips]
        return self.files.survey(keys, self.near_duplicates, allow_truncated=self.allow_truncated)

    @cached_property
    def _splits(self) -> dict[Part, list[Clip]]:
        clips, given = self._clips, [sound.part for sound in self._sounds]
        targets = np.array([clip.target for clip in clips])
        labels = (
            targets.astype(bool) if self.labels else np.eye(len(self.heads["class"]), dtype=bool)[targets]
        )
        sources, singly = [clip.attributes["source"] for clip in clips], [clip.key for clip in clips]
        pairs = self._survey.pairs
        ways_out = {
            "near_duplicates to null, for files that only sound alike": (sources, []),
            "source to null to split single files": (singly, pairs),
            "source and near_duplicates to null to split single files": (singly, []),
        }
        division = Division(self.root, clips, labels, pairs=pairs, fold=self.fold, ways_out=ways_out)
        side = np.array([part or "train" for part in given], dtype="<U10")
        for name, wanted in wanted_parts(self.held_out, given).items():
            if (free := side == "train").any():
                side[division.hold_out(wanted, free=free, name=name)] = name
        self._tell(labels, side)
        return {name: list(compress(clips, side == name)) for name in ("train", "validation", "test")}

    def _tell(self, labels: np.ndarray, side: np.ndarray) -> None:
        """Print what the split cannot do."""
        names = list(self.heads) if self.labels else list(self.heads["class"])
        tested = {names[k] for k in labels[side == "test"].nonzero()[1]}
        untested = [name for name in names if name not in tested]
        if tested and untested:
            rank_zero_info(
                f"{self.root}: trained but not tested, for want of a second source: {', '.join(untested)}"
            )
        tell_leaks(self.root, self._clips, side, self._survey.pairs)


def _pattern(source: str | None) -> re.Pattern[str] | None:
    if source is None:
        return None
    try:
        pattern = re.compile(source)
    except re.error as error:
        raise ValueError(
            f"source {source!r} is no regular expression ({error}): correct the data section"
        ) from None
    if not pattern.groups:
        raise ValueError(f"source {source!r} has no group: put what names a file's source in parentheses")
    return pattern
