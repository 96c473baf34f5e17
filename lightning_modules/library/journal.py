"""What a sort has heard and made, written down before it is made: a run that was cut off goes on, and can be undone."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from filelock import lock_descriptor

from datamodules.audio.names import escape, unescape
from lightning_modules.library.scan import Stamp

Mode = Literal["hardlink", "symlink", "copy"]
HIDDEN = ".sort"  # folder in the target


class Made(NamedTuple):
    """One entry in the target.

    Attributes:
        path: Of the original, in the library.
        stamp: Of the original when it was filed.
        mode: How it was filed.
        mark: What tells that the entry is still ours: inode of a hard link, target of a symbolic link, stamp of a copy.
    """

    path: str
    stamp: Stamp
    mode: Mode
    mark: Any


@dataclass
class State:
    """What the journal says.

    Attributes:
        settings: Of the sort, the same in all its runs; empty before the first.
        tagged: Original -> its stamp and the probability of every class.
        made: Entry, as ``tag/name`` -> what it is.
        folders: Made for the entries, the target itself as ``.``.
        reports: Name of a report in the target -> its stamp.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    tagged: dict[str, tuple[Stamp, list[float]]] = field(default_factory=dict)
    made: dict[str, Made] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    reports: dict[str, Stamp] = field(default_factory=dict)

    def apply(self, line: Mapping[str, Any]) -> None:
        """Take in one line."""
        match line:
            case {"settings": settings}:
                self.settings = dict(settings)
            case {"tagged": path, "stamp": stamp, "probabilities": probabilities}:
                self.tagged[unescape(path)] = Stamp(*stamp), probabilities
            case {"made": entry, "of": path, "stamp": stamp, "mode": mode, "mark": mark}:
                mark = unescape(mark) if mode == "symlink" else mark
                self.made[unescape(entry)] = Made(unescape(path), Stamp(*stamp), mode, mark)
            case {"not_made": entry}:
                del self.made[unescape(entry)]
            case {"folder": folder}:
                self.folders.append(unescape(folder))
            case {"report": name, "stamp": stamp}:
                self.reports[name] = Stamp(*stamp)
            case _:
                raise KeyError(f"unknown line {line}")


def read(target: Path) -> State:
    """Read the journal of a target; an empty state where it has none.

    Raises:
        ValueError: If a line is damaged. A last line that was cut off counts as not written.
    """
    state, path = State(), _path(target)
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return state
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            state.apply(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}:{number}: damaged line ({error}): take the file out of a backup, or sort into another folder"
            ) from None
    return state


class Journal:
    """The journal of a target, open for more lines; every line reaches the file before what it announces is made.

    Attributes:
        state: What it says so far.
    """

    def __init__(self, target: Path, descriptor: int) -> None:
        self.state = read(target)
        self._descriptor = descriptor
        content = _path(target).read_bytes()
        if not content.endswith(b"\n"):  # a line was cut off
            os.truncate(_path(target), content.rfind(b"\n") + 1)
        if self.state.made:
            last = next(reversed(self.state.made))
            if not os.path.lexists(target / last):  # announced by a run that was cut off before it was made
                self.not_made(last)

    @classmethod
    @contextmanager
    def open(cls, target: Path) -> Iterator[Self]:
        """Open the journal of a folder, or begin one; one process at a time.

        Raises:
            ValueError: If another process has it open, or it is damaged.
        """
        path = _path(target)
        is_new = not target.exists()
        for folder in (target, path.parent):
            folder.mkdir(exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            if not lock_descriptor(descriptor, blocking=False):
                raise ValueError(f"{target}: another sort works there: wait for its end")
            journal = cls(target, descriptor)
            if is_new:
                journal.write({"folder": "."})
            yield journal
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line; where the disk is full, no part of it stays.

        Raises:
            OSError: If it cannot be written.
        """
        content = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        begin = os.lseek(self._descriptor, 0, os.SEEK_END)
        try:
            while content:
                content = content[os.write(self._descriptor, content) :]
        except OSError:
            os.ftruncate(self._descriptor, begin)
            raise
        self.state.apply(line)

    def tagged(self, path: str, stamp: Stamp, probabilities: list[float]) -> None:
        """Note what was heard in a file."""
        self.write({"tagged": escape(path), "stamp": stamp, "probabilities": probabilities})

    def made(self, entry: str, made: Made) -> None:
        """Announce an entry."""
        mark = escape(made.mark) if made.mode == "symlink" else made.mark
        line = {"made": escape(entry), "of": escape(made.path), "stamp": made.stamp, "mode": made.mode}
        self.write(line | {"mark": mark})

    def not_made(self, entry: str) -> None:
        """Take an announcement back."""
        self.write({"not_made": escape(entry)})


def _path(target: Path) -> Path:
    return target / HIDDEN / "journal.jsonl"
