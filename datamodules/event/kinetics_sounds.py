"""Kinetics-Sounds: 10 s of YouTube videos of actions that are heard (Arandjelović and Zisserman, ICCV 2017).

Its 34 classes are of an unpublished state of Kinetics. Of the released Kinetics-400, 27 have the same name, 5 another
one, and ``typing`` and ``patting`` are gone.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from datamodules.clips import Clip
from datamodules.demo.events import KINETICS_SOUNDS_ROOT, write_kinetics_sounds
from datamodules.event.youtube import YouTubeDataModule
from datamodules.protocol import ProtocolError, check_key, read_table

RENAMED = {
    "blowing out candles": "blowing out",
    "dribbling basketball": "dribbling ball",
    "mowing lawn": "mowing the lawn by pushing lawnmower",
    "stomping grapes": "stomping",
    "strumming guitar": "fingerpicking",
}
"""Class of Kinetics-400 -> its name in the paper of 2017."""

CLASSES = (
    *("blowing nose", "blowing out candles", "bowling", "chopping wood", "dribbling basketball", "laughing"),
    *("mowing lawn", "playing accordion", "playing bagpipes", "playing bass guitar", "playing clarinet"),
    *("playing drums", "playing guitar", "playing harmonica", "playing keyboard", "playing organ"),
    *("playing piano", "playing saxophone", "playing trombone", "playing trumpet", "playing violin"),
    *("playing xylophone", "ripping paper", "shoveling snow", "shuffling cards", "singing"),
    *("stomping grapes", "strumming guitar", "tap dancing", "tapping guitar", "tapping pen", "tickling"),
)
"""The 32 classes by their names in Kinetics-400."""

_PARTS = ("train", "val", "validate", "test")
_LISTS = {"train": ("train",), "test": ("val", "validate")}
_COLUMNS = ("label", "youtube_id", "time_start", "time_end")


class KineticsSounds(YouTubeDataModule):
    """Clips ``<YouTube id>_<start>_<end>``, seconds in six digits; one head, ``event``.

    The two editions are not comparable: their classes and their test clips differ.

    Args:
        edition: ``ks32`` takes the 32 classes from the lists of Kinetics-400, its validation clips being the test
            split (MBT, DATAR). ``ks31`` has the lists of OGM-GE (Peng et al., CVPR 2022), without strumming guitar and
            tested on test clips of Kinetics-400.
        root: Folder with the lists and the clips, here or in subfolders ``train``, ``val``, ``test``, ``audio``,
            ``video`` and of the classes' names, at any depth; spaces of those may be underscores. Lists of ``ks32``:
            ``train.csv`` and ``val.csv``, or as ``kinetics-400_train.csv``; of ``ks31``: ``my_train.txt`` and
            ``my_test.txt``. The default is a synthetic corpus of ``ks32``, made where it is missing.
        **settings: Of `YouTubeDataModule`.
    """

    folders = frozenset({"audio", "video", *_PARTS, *CLASSES, *(name.replace(" ", "_") for name in CLASSES)})
    demo_root = Path(KINETICS_SOUNDS_ROOT)
    demo_writer = staticmethod(write_kinetics_sounds)

    def __init__(
        self, *, edition: Literal["ks32", "ks31"] = "ks32", root: str = KINETICS_SOUNDS_ROOT, **settings: Any
    ) -> None:
        super().__init__(root=root, **settings)
        if edition not in {"ks32", "ks31"}:
            raise ValueError(f"edition {edition!r} is unknown: choose ks32 or ks31")
        self.edition = edition

    @property
    def heads(self) -> Mapping[str, Sequence[str]]:
        """``event`` -> names of the classes by index, sorted."""
        return {"event": [name for name in CLASSES if self.edition == "ks32" or name != "strumming guitar"]}

    def listed(self, part: Literal["train", "test"]) -> list[Clip]:
        """Clips in the order of the list.

        Raises:
            ProtocolError: If the list is missing or faulty.
        """
        rows = self._kinetics(part) if self.edition == "ks32" else self._ogm_ge(part)
        clips, known = [], set()
        for place, name, key, target in rows:
            check_key(place, key, known)
            clips.append(Clip(key, self.path(key, name), target))
        return clips

    def _kinetics(self, part: Literal["train", "test"]) -> Iterator[tuple[str, str, str, int]]:
        """Place, name, key and class of the rows of Kinetics-400 that are of the 32 classes."""
        names = [f"{prefix}{name}.csv" for prefix in ("", "kinetics-400_") for name in _LISTS[part]]
        path = next((self.root / name for name in names if (self.root / name).exists()), self.root / names[0])
        index = {name: i for i, name in enumerate(self.heads["event"])}
        rows = read_table(path)
        place, header = next(rows)
        if missing := set(_COLUMNS) - set(header):
            raise ProtocolError(
                f"{place}: has no column {min(missing)}: take the list that has labels and a header"
            )
        columns = [header.index(column) for column in _COLUMNS]
        for place, row in rows:
            label, video, start, end = (row[column] for column in columns)
            if label in index:
                key = _key(place, video, start, end)
                yield place, key, key, index[label]

    def _ogm_ge(self, part: Literal["train", "test"]) -> Iterator[tuple[str, str, str, int]]:
        """Place, name, key and class of lines ``<id>_<start>_<end>,10,CLASS``, in the test list without the end."""
        for place, (name, seconds, target) in read_table(self.root / f"my_{part}.txt", num_columns=3):
            video, *times = name[:11], *name[12:].split("_")
            if len(times) == 1 and times[0].isdecimal() and seconds.isdecimal():
                times.append(str(int(times[0]) + int(seconds)))
            if len(times) != 2 or not target.isdecimal() or int(target) >= len(self.heads["event"]):
                raise ProtocolError(
                    f"{place}: {name},{seconds},{target} where <id>_<start>[_<end>],<seconds>,<class, 0 to 30> was"
                    " expected: compare with the official list"
                )
            yield place, name, _key(place, video, *times), int(target)


def _key(place: str, video: str, start: str, end: str) -> str:
    if not (start.isdecimal() and end.isdecimal()):
        raise ProtocolError(
            f"{place}: from {start!r} to {end!r} where whole seconds were expected: correct the line"
        )
    return f"{video}_{int(start):06d}_{int(end):06d}"
