"""Rows of a data set's protocol, one by one or as columns of arrays."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat, zip_longest
from typing import overload

import numpy as np

from datamodules.strings import Strings


@dataclass(frozen=True, slots=True)
class Clip:
    """One row of a data set's protocol.

    Attributes:
        key: The data set's own utterance or file id, unique within a split.
        path: Audio file.
        target: Class index, or one for each head of a data set with several; -1 where the label is unknown.
        attributes: What evaluation groups by, e.g. ``{"attack": "A07", "codec": "none"}``.
        start_s: Where the clip begins in its file, in seconds.
        stop_s: Where it ends; None is the end of the file.
    """

    key: str
    path: str
    target: int | tuple[int, ...] = -1
    attributes: Mapping[str, str] = field(default_factory=dict)
    start_s: float = 0.0
    stop_s: float | None = None


def a_few(clips: Sequence[Clip], *, training: bool) -> list[Clip]:
    """Rows of all classes in turn, for a dry run.

    Of a test 4, which both classes of a detector are among. Of training 24; of each machine instance at least 8, for
    detectors fit to every one.
    """
    groups: dict[tuple[object, str], list[int]] = {}
    for row, clip in enumerate(clips):
        groups.setdefault((clip.target, clip.attributes.get("instance", "")), []).append(row)
    of_machines = training and any(instance for _, instance in groups)
    each = max(8, 64 // len(groups)) if of_machines else 24
    turns = [
        row
        for rank in zip_longest(*(rows[:each] for rows in groups.values()))
        for row in rank
        if row is not None
    ]
    return [clips[row] for row in sorted(turns if of_machines else turns[: 24 if training else 4])]


class ClipTable(Sequence[Clip]):
    """Clips as columns: a row is made when it is asked for, so that a million take 100 MB and pickle at once.

    Args:
        clips: The rows, of one kind of `target` and of equal attributes; an attribute that some lack is empty there.

    Attributes:
        paths: Of the audio files.
        targets: int64 (clip,) or (clip, head).
        starts_s: float64 (clip,), where each begins in its file, in seconds.
        stops_s: float64 (clip,), where each ends; infinite at the end of the file.
    """

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._keys = Strings.of(clip.key for clip in clips)
        self.paths = Strings.of(clip.path for clip in clips)
        self.targets = np.array([clip.target for clip in clips], np.int64)
        self.starts_s = np.array([clip.start_s for clip in clips], np.float64)
        self.stops_s = np.array(
            [math.inf if clip.stop_s is None else clip.stop_s for clip in clips], np.float64
        )
        names = sorted({name for clip in clips for name in clip.attributes})
        self._attributes = {
            name: Strings.of(clip.attributes.get(name, "") for clip in clips) for name in names
        }

    def __len__(self) -> int:
        return len(self.targets)

    def __iter__(self) -> Iterator[Clip]:  # ten times as quick as one index after the other
        names, shared = list(self._attributes), {}
        stops_s = (None if stop_s == math.inf else stop_s for stop_s in self.stops_s.tolist())
        targets = self.targets.tolist()
        plain = (tuple(each) for each in targets) if self.targets.ndim > 1 else targets
        places = zip(self._keys, self.paths, plain, self.starts_s.tolist(), stops_s, strict=True)
        values = zip(*self._attributes.values(), strict=True) if names else repeat((), len(self))
        for (key, path, target, start_s, stop_s), found in zip(places, values, strict=True):
            attributes = shared.get(found)
            if attributes is None:  # equal ones are one object
                attributes = shared[found] = dict(zip(names, found, strict=True))
            yield Clip(key, path, target, attributes, start_s, stop_s)

    def attribute(self, name: str) -> Sequence[str]:
        """(clip,) values of an attribute that some clip has."""
        return self._attributes[name]

    @overload
    def __getitem__(self, index: int) -> Clip: ...

    @overload
    def __getitem__(self, index: slice) -> list[Clip]: ...

    def __getitem__(self, index: int | slice) -> Clip | list[Clip]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        target, stop_s = self.targets[index].tolist(), float(self.stops_s[index])
        return Clip(
            key=self._keys[index],
            path=self.paths[index],
            target=tuple(target) if isinstance(target, list) else target,
            attributes={name: column[index] for name, column in self._attributes.items()},
            start_s=float(self.starts_s[index]),
            stop_s=None if stop_s == math.inf else stop_s,
        )
