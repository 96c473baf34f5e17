"""Putting one file into a folder: by a link or a copy, as a whole or not at all, over nothing that is there."""

import errno
import filecmp
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from datamodules.audio.names import escape
from lightning_modules.library.journal import HIDDEN, Journal, Made, Mode, State
from lightning_modules.library.scan import SoundFile, stamp

_NO_HARD_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)
_NAME_BYTES = 255


class ChangedError(Exception):
    """The original is not what it was when it was listened to."""


class Filer:
    """Files originals of a library under tags, and notes in the journal what it makes.

    Args:
        library: Folder of the originals; nothing in it is ever changed.
        target: Folder of the tags.
        mode: ``hardlink`` takes no space, ``symlink`` neither, and is broken when the original goes; ``copy``.
            Where a hard link is impossible (another disk, a foreign file), a symbolic one is made.
        state: What was made there before.
        journal: Of the target; None makes nothing and only chooses names.

    Attributes:
        num_symlinks: Files of this run that could not be linked hard.
    """

    def __init__(
        self, library: Path, target: Path, *, mode: Mode, state: State, journal: Journal | None
    ) -> None:
        self.library, self.target, self.mode = library.resolve(), target, mode
        self.num_symlinks = 0
        self._journal, self._made = journal, state.made
        self._entries = {
            (made.path, made.stamp, entry.split("/", 1)[0]): entry for entry, made in self._made.items()
        }
        self._planned: set[str] = set()
        self._number: defaultdict[str, int] = defaultdict(lambda: 1)

    def file(self, original: SoundFile, tag: str) -> tuple[str, bool]:
        """File an original under a tag.

        Returns:
            The entry, as ``tag/name``, and whether it was made now; one that was made before counts even where it has
            been removed since.

        Raises:
            ChangedError: If the original has changed or gone since it was listened to.
            OSError: If the disk refuses.
        """
        if entry := self._entries.get((original.path, original.stamp, tag)):
            return entry, False
        source = self.library / original.path
        try:
            is_same = stamp(source) == original.stamp
        except OSError as error:
            raise ChangedError(f"gone since the search ({error.strerror})") from None
        if not is_same:
            raise ChangedError("changed while it was sorted: run again")
        source = source.resolve()  # link(2) would link a symbolic link itself
        entry, is_there = self._free_entry(original.path, source, tag)
        if not is_there and self._journal:
            self._make_folder(tag)
            self._make(entry, original, source)
        self._planned.add(entry)
        self._entries[original.path, original.stamp, tag] = entry
        return entry, not is_there

    def _free_entry(self, path: str, source: Path, tag: str) -> tuple[str, bool]:
        """The first of ``name.wav``, ``name-2.wav``, ... that is free, or is this very file already."""
        name = Path(path).name
        while True:
            number = self._number[f"{tag}/{name}"]
            entry = f"{tag}/{_numbered(name, number)}"
            if entry not in self._planned:
                if not os.path.lexists(self.target / entry):
                    return entry, False
                made = self._made.get(entry)
                if (made is None or made.path == path) and self._holds(self.target / entry, source):
                    return entry, True
            self._number[f"{tag}/{name}"] += 1

    def _holds(self, entry: Path, source: Path) -> bool:
        if self.mode != "copy" and entry.is_symlink():
            return os.readlink(entry) == str(source)  # noqa: PTH115
        if not entry.is_file():
            return False
        return entry.samefile(source) if self.mode != "copy" else filecmp.cmp(entry, source, shallow=False)

    def _make_folder(self, tag: str) -> None:
        folder = self.target / tag
        if not folder.is_dir():
            if os.path.lexists(folder):
                raise NotADirectoryError(errno.ENOTDIR, "is in the way, no folder", str(folder))
            assert self._journal
            self._journal.write({"folder": escape(tag)})
            folder.mkdir()

    def _make(self, entry: str, original: SoundFile, source: Path) -> None:
        target, status = self.target / entry, source.stat()
        if self.mode == "copy":
            part = self._copy(original, source)
            with self._announced(entry, Made(*original, "copy", stamp(part))):
                _rename_to_new(part, target)
            return
        if self.mode == "hardlink" and status.st_dev == target.parent.stat().st_dev:
            try:
                with self._announced(entry, Made(*original, "hardlink", status.st_ino)):
                    target.hardlink_to(source)
                return
            except OSError as error:
                if error.errno not in _NO_HARD_LINK:
                    raise
        self.num_symlinks += self.mode == "hardlink"
        with self._announced(entry, Made(*original, "symlink", str(source))):
            target.symlink_to(source)

    def _copy(self, original: SoundFile, source: Path) -> Path:
        part = self.target / HIDDEN / "part"
        part.unlink(missing_ok=True)  # of a run that was cut off
        try:
            shutil.copy2(source, part)
            if stamp(source) != original.stamp:
                raise ChangedError("changed while it was copied: run again")
            with part.open("rb") as file:
                os.fsync(file.fileno())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return part

    @contextmanager
    def _announced(self, entry: str, made: Made) -> Iterator[None]:
        assert self._journal
        self._journal.made(entry, made)
        try:
            yield
        except OSError:
            with suppress(OSError):  # on a full disk the next run sees that it is not there
                self._journal.not_made(entry)
            raise


def _rename_to_new(part: Path, target: Path) -> None:
    """Rename a file to a name that is free; rename(2) alone would replace what is there."""
    try:
        target.hardlink_to(part)
    except OSError as error:
        if error.errno not in _NO_HARD_LINK:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "appeared meanwhile", str(target)) from None
        part.rename(target)  # a disk without hard links
    else:
        part.unlink()


def _numbered(name: str, number: int) -> str:
    """``kick.wav`` -> ``kick-2.wav``, no longer than a name may be; 1 changes nothing."""
    if number == 1:
        return name
    ending = f"-{number}{Path(name).suffix}"
    stem = os.fsencode(Path(name).stem)[: _NAME_BYTES - len(os.fsencode(ending))]
    return os.fsdecode(stem) + ending
