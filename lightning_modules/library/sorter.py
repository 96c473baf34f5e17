"""Sorts a library: searches it, listens to what is new in it, and files every sound as it has been heard."""

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import track

from datamodules.audio.names import escape
from lightning_modules.library import journal as journals
from lightning_modules.library.filing import ChangedError, Filer
from lightning_modules.library.journal import HIDDEN, Journal, Mode, State
from lightning_modules.library.manifest import NAME, Manifest
from lightning_modules.library.rule import Rule, check_classes
from lightning_modules.library.scan import Scan, SoundFile, scan, stamp

# what is wrong with one file; anything else, a full disk say, stops the run
_OF_ONE_FILE = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EIO, errno.ENOENT, errno.EEXIST)


class Tagger(Protocol):
    """What sorting asks of a trained tagger.

    Attributes:
        classes: In the order of probabilities.
        identity: Another for every other checkpoint.
    """

    classes: list[str]
    identity: str

    def probabilities(self, paths: Sequence[str]) -> Iterator[tuple[int, list[float] | str]]:
        """Number of each path, in any order, with the probability of every class, or why there is none."""
        ...


@dataclass
class Sorted:
    """What came of it.

    Attributes:
        manifest: What became of every file.
        num_others: Files that are no sounds by their names, and were left alone.
        num_made: Entries made by this run, or that would be made.
        num_symlinks: Those of them that could not be hard links.
        stopped: Why the run ended before the library's end, or nothing.
    """

    manifest: Manifest
    num_others: int
    num_made: int = 0
    num_symlinks: int = 0
    stopped: str = ""


def sort_library(
    library: Path,
    target: Path,
    *,
    tagger: Tagger,
    rule: Rule,
    mode: Mode,
    dry_run: bool = False,
    json: bool = False,
    progress: bool = False,
) -> Sorted:
    """File every sound of a library into ``target/<tag>/``; goes on where an earlier run ended.

    Args:
        library: Folder; nothing in it is changed.
        target: Folder, made where it is missing.
        tagger: What listens.
        rule: From probabilities to tags.
        mode: How files come into the target, see `Filer`.
        dry_run: Listen and choose, and make nothing.
        json: Write ``sorted.json`` beside ``sorted.csv``.
        progress: Show a bar.

    Raises:
        ValueError: If the folders or the settings do not fit; nothing was made.
        OSError: If the target cannot be written to; nothing was made.
    """
    check_classes(tagger.classes)
    if not target.absolute().parent.is_dir():
        raise ValueError(f"{target}: its parent folder is missing: make it or correct --into")
    if target.exists() and library.exists() and target.samefile(library):
        raise ValueError(f"{target}: is the library itself: name another folder with --into")
    found = scan(library, leave_out=target)
    settings = _settings(library, tagger, rule, mode)
    state = journals.read(target)
    _check_target(target, state, settings)
    outcome = Sorted(Manifest(tagger.classes, unsorted=dict(found.faults)), found.others)
    with ExitStack() as stack:
        journal = None
        if not dry_run:
            journal = stack.enter_context(Journal.open(target))
            state = journal.state
            if not state.settings:
                journal.write({"settings": settings})
        filer = Filer(library, target, mode=mode, state=state, journal=journal)
        try:
            heard: Iterable[Any] = _hear(library, found, state, tagger, journal)
            if progress:
                heard = track(
                    heard, "sorting", total=len(found.files), transient=True, console=Console(stderr=True)
                )
            for file, result in heard:
                _file(file, result, filer, rule, outcome)
            if journal:
                _write_reports(target, journal, outcome.manifest, settings, json=json)
        except OSError as error:
            outcome.stopped = f"{escape(str(error.filename or target))}: {error.strerror}"
        outcome.num_symlinks = filer.num_symlinks
    return outcome


def _settings(library: Path, tagger: Tagger, rule: Rule, mode: Mode) -> dict[str, Any]:
    return {
        "library": escape(str(library.resolve())),
        "tagger": tagger.identity,
        "classes": list(tagger.classes),
        "tags": rule.num_tags,
        "threshold": rule.threshold,
        "mode": mode,
    }


def _check_target(target: Path, state: State, settings: dict[str, Any]) -> None:
    if state.settings and (other := [key for key in settings if state.settings.get(key) != settings[key]]):
        raise ValueError(
            f"{target}: was sorted into with another {other[0]} ({state.settings.get(other[0])!r}, now"
            f" {settings[other[0]]!r}): take that back with --undo, or name another folder with --into"
        )
    for path in (target / f"{NAME}.csv", target / f"{NAME}.json"):
        if path.exists() and state.reports.get(path.name) != stamp(path):
            raise ValueError(f"{path}: is not as sort wrote it: give it another name, it would be replaced")


def _hear(
    library: Path, found: Scan, state: State, tagger: Tagger, journal: Journal | None
) -> Iterator[tuple[SoundFile, list[float] | str]]:
    """Every file with its probabilities or why there are none; known ones first, without listening again."""
    new = []
    for file in found.files:
        known = state.tagged.get(file.path)
        if known and known[0] == file.stamp:
            yield file, known[1]
        else:
            new.append(file)
    for index, result in tagger.probabilities([f"{library}/{file.path}" for file in new]):
        if journal and not isinstance(result, str):
            journal.tagged(new[index].path, new[index].stamp, result)
        yield new[index], result


def _file(file: SoundFile, result: list[float] | str, filer: Filer, rule: Rule, outcome: Sorted) -> None:
    manifest = outcome.manifest
    if isinstance(result, str):
        manifest.unsorted[file.path] = result
        return
    manifest.probabilities[file.path] = result
    try:
        for tag in rule.tags(result, manifest.classes):
            entry, is_new = filer.file(file, tag)
            manifest.filed.setdefault(file.path, []).append(entry)
            outcome.num_made += is_new
    except ChangedError as error:
        manifest.unsorted[file.path] = str(error)
    except OSError as error:
        if error.errno not in _OF_ONE_FILE:
            raise
        manifest.unsorted[file.path] = os.strerror(error.errno)


def _write_reports(
    target: Path, journal: Journal, manifest: Manifest, settings: dict[str, Any], *, json: bool
) -> None:
    reports = {f"{NAME}.csv": manifest.csv()} | ({f"{NAME}.json": manifest.json(settings)} if json else {})
    for name, text in reports.items():
        path = target / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        part = target / HIDDEN / "report"
        part.write_text(text, encoding="utf-8")
        journal.write({"report": name, "stamp": stamp(part)})
        part.replace(path)
