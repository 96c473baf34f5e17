"""What data sets of YouTube links share: files found by their names, and a validation split of their own."""

import hashlib
import os
from abc import abstractmethod
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from lightning_utilities.core.rank_zero import rank_zero_warn

from datamodules.audio import SUFFIXES
from datamodules.audio.search import names_in
from datamodules.clips import Clip
from datamodules.clips.films import FILMS
from datamodules.event.events import EventDataModule

_ID_LETTERS = 11  # of a YouTube id, with which every key begins


class YouTubeDataModule(EventDataModule):
    """Clips of YouTube videos, listed for training and for test.

    A data set is one subclass: `heads`, `folders` and `listed`. Its clips lie in `root` or in subfolders of the
    names `folders`, at any depth; where a clip is there as sound and as film, the sound is read.

    Args:
        validation: Part of each class's training clips held out as validation split: whole videos, chosen by a
            hash of their id, the same for every seed and machine. 0 for none. ``test`` validates on the test
            clips as published systems do, with a warning: the checkpoint is then chosen on them.
        **settings: Of `EventDataModule`.
    """

    folders: ClassVar[Collection[str]]
    """Names of the folders that clips may lie in."""

    def __init__(self, *, validation: float | Literal["test"] = 0.05, **settings: Any) -> None:
        super().__init__(**settings)
        fraction = 0 if validation == "test" else validation
        if isinstance(fraction, str) or not 0 <= fraction < 1:
            raise ValueError(
                f"validation must be 'test', or at least 0 and less than 1, found {validation}: correct the"
                " data section"
            )
        self.validation: float | Literal["test"] = validation

    @abstractmethod
    def listed(self, part: Literal["train", "test"]) -> list[Clip]:
        """Every clip of a part of the data set's own list, its path from `path`."""

    def path(self, *stems: str) -> str:
        """File of a clip under one of its names; where there is none, what it would be called."""
        for stem in stems:
            if path := self._files.get(stem):
                return path
        return f"{self.root}/{stems[0]}.*"

    def split(self, name: Literal["train", "validation", "test"]) -> list[Clip]:
        """Listed clips, whether there or not.

        Raises:
            ValueError: If the data set's list is missing or faulty.
        """
        if name == "validation" and self.validation == "test":
            rank_zero_warn(
                f"{type(self).__name__} validates on its test split: checkpoints are chosen on test clips"
            )
        if name == "test" or self.validation == "test":
            return self.listed("train" if name == "train" else "test")
        clips, held_out = self._train
        return [clip for clip in clips if (clip.key[:_ID_LETTERS] in held_out) == (name == "validation")]

    @cached_property
    def _train(self) -> tuple[list[Clip], set[str]]:
        clips = self.listed("train")
        return clips, _videos_to_hold_out(clips, float(self.validation))

    @cached_property
    def _files(self) -> dict[str, str]:
        return find_files(self.root, self.folders)


def find_files(root: str | Path, folders: Collection[str]) -> dict[str, str]:
    """Stem -> path of the audio files in `root` and its subfolders of the names `folders`, one listing a folder.

    Of several files of one stem a sound goes before a film, then the first in the order of paths.
    """
    sounds: dict[str, str] = {}
    films: dict[str, str] = {}
    pending = [os.fspath(root)]
    while pending:
        folder = pending.pop()
        if not Path(folder).is_dir():  # missing, or a file of a folder's name
            continue
        for name in names_in(folder):
            stem, dot, suffix = name.rpartition(".")
            suffix = dot + suffix.lower()
            if name in folders:
                pending.append(f"{folder}/{name}")
            elif suffix in SUFFIXES and stem and not name.startswith("."):
                found, path = films if suffix in FILMS else sounds, f"{folder}/{name}"
                found[stem] = min(path, found.get(stem, path))
    return films | sounds


def _videos_to_hold_out(clips: Sequence[Clip], fraction: float) -> set[str]:
    """Ids of videos that hold about `fraction` of each class, never more than that rounded."""
    counts = Counter(clip.target for clip in clips)
    room = {target: round(fraction * count) for target, count in counts.items()}
    videos: defaultdict[str, list[int | tuple[int, ...]]] = defaultdict(list)
    for clip in clips:
        videos[clip.key[:_ID_LETTERS]].append(clip.target)
    held_out = set()
    for video in sorted(videos, key=lambda video: hashlib.sha256(video.encode()).digest()):
        targets = videos[video]
        if all(room[target] >= targets.count(target) for target in targets):
            held_out.add(video)
            for target in targets:
                room[target] -= 1
    return held_out
