"""Taking a sort back: exactly what it made goes, and nothing that its user changed or that is a sound's last copy."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from lightning_modules.library.journal import HIDDEN, Journal, Made, State, read
from lightning_modules.library.scan import stamp


@dataclass
class Undone:
    """What came of it.

    Attributes:
        num_removed: Entries that are gone, or would be.
        kept: Entry -> why it stays.
    """

    num_removed: int = 0
    kept: dict[str, str] = field(default_factory=dict)


def undo(target: Path, *, dry_run: bool = False) -> Undone:
    """Remove what sorting into a folder made; one that is cut off is continued by another.

    Raises:
        ValueError: If nothing was sorted into `target`.
        OSError: If the disk refuses.
    """
    if not (target / HIDDEN).is_dir():
        raise ValueError(f"{target}: nothing was sorted into it: name the folder that --into named")
    if dry_run:
        return _remove_entries(target, read(target), dry_run=True)
    with Journal.open(target) as journal:
        state = journal.state
        done = _remove_entries(target, state, dry_run=False)
        for name, mark in state.reports.items():
            if (target / name).is_file() and stamp(target / name) == mark:
                (target / name).unlink()
        for folder in reversed(state.folders):
            if folder != ".":
                _remove_if_empty(target / folder)
        shutil.rmtree(target / HIDDEN)
    if "." in state.folders:
        _remove_if_empty(target)
    return done


def _remove_entries(target: Path, state: State, *, dry_run: bool) -> Undone:
    done = Undone()
    library = Path(state.settings.get("library", ""))
    for entry, made in reversed(state.made.items()):
        if not os.path.lexists(target / entry):
            continue
        if reason := _reason_to_keep(target / entry, made, library):
            done.kept[entry] = reason
            continue
        if not dry_run:
            (target / entry).unlink()
        done.num_removed += 1
    return done


def _reason_to_keep(entry: Path, made: Made, library: Path) -> str:
    """Why an entry must stay, or nothing."""
    status = entry.lstat()
    if made.mode == "symlink":
        is_ours = entry.is_symlink() and os.readlink(entry) == made.mark  # noqa: PTH115
        return "" if is_ours else "changed since"
    if entry.is_symlink() or not entry.is_file():
        return "changed since"
    if made.mode == "hardlink":
        if status.st_ino != made.mark:
            return "changed since"
        return "" if status.st_nlink > 1 else "the original is gone: this is the last link to its sound"
    if (status.st_size, status.st_mtime_ns) != tuple(made.mark):
        return "changed since"
    try:
        is_there = stamp(library / made.path) == made.stamp
    except OSError:
        is_there = False
    return "" if is_there else "the original has changed or gone: this is the last copy of its sound"


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
