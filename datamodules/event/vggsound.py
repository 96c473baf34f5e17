"""VGGSound: 10 s of YouTube videos in 309 classes (Chen et al., ICASSP 2020).

Source: https://www.robots.ox.ac.uk/~vgg/data/vggsound and github.com/hche11/VGGSound.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from datamodules.clips import Clip
from datamodules.demo.events import VGGSOUND_ROOT, write_vggsound
from datamodules.event.events import read_classes
from datamodules.event.youtube import YouTubeDataModule
from datamodules.protocol import ProtocolError, check_key, read_table

_PARTS = ("train", "test")


class VGGSound(YouTubeDataModule):
    """Clips ``<YouTube id>_<start in seconds, six digits>``; one head, ``event``.

    Args:
        root: Folder with ``vggsound.csv`` (id, start, label, split), or ``train.csv`` and ``test.csv`` (file name,
            label), and the clips, here or in subfolders ``audio``, ``video``, ``clips``, ``train`` and ``test``. The
            default is a synthetic corpus, made where it is missing.
        classes_file: Classes and their order, as CSV with the header ``head,index,name``; None sorts the labels of
            the list, which is the order of the official code for the whole list.
        **settings: Of `YouTubeDataModule`.
    """

    folders = frozenset({"audio", "video", "clips", *_PARTS})
    demo_root = Path(VGGSOUND_ROOT)
    demo_writer = staticmethod(write_vggsound)

    def __init__(
        self, *, root: str = VGGSOUND_ROOT, classes_file: str | None = None, **settings: Any
    ) -> None:
        super().__init__(root=root, **settings)
        self.classes_file = Path(classes_file).expanduser() if classes_file else None

    @cached_property
    def heads(self) -> Mapping[str, Sequence[str]]:
        """``event`` -> names of the classes by index."""
        if self.classes_file:
            return read_classes(self.classes_file)
        self.prepare_data()
        return {"event": sorted({label for rows in self._rows.values() for _, label in rows})}

    def listed(self, part: Literal["train", "test"]) -> list[Clip]:
        """Clips in the order of the list.

        Raises:
            ProtocolError: If the list is missing or faulty, or names a class that `classes_file` lacks.
        """
        if part not in self._rows:
            raise ProtocolError(
                f"{self.root}: neither vggsound.csv nor {part}.csv is there: put the official list there"
            )
        index = {name: i for i, name in enumerate(self.heads["event"])}
        for key, label in self._rows[part]:
            if label not in index:
                raise ProtocolError(
                    f"{self.classes_file}: class {label!r} of clip {key} is missing: add it, or set"
                    " classes_file to null"
                )
        return [Clip(key, self.path(key), index[label]) for key, label in self._rows[part]]

    @cached_property
    def _rows(self) -> dict[str, list[tuple[str, str]]]:
        """Part -> key and label of its clips."""
        rows: dict[str, list[tuple[str, str]]] = {}
        known: set[str] = set()
        labels: dict[str, str] = {}  # equal labels are one object

        def add(place: str, part: str, key: str, label: str) -> None:
            check_key(place, key, known)
            rows.setdefault(part, []).append((key, labels.setdefault(label, label)))

        path = self.root / "vggsound.csv"
        if path.exists():
            for place, (video, start, label, part) in read_table(path, num_columns=4):
                if part not in _PARTS or not start.isdecimal():
                    raise ProtocolError(
                        f"{place}: start {start!r} and split {part!r} where whole seconds and train or test were"
                        " expected: correct the line, or remove it if it is a header"
                    )
                add(place, part, f"{video}_{int(start):06d}", label)
            return rows
        for part in _PARTS:
            if (path := self.root / f"{part}.csv").exists():
                for place, (name, label) in read_table(path, num_columns=2):
                    add(place, part, name.removesuffix(".mp4"), label)
        return rows
