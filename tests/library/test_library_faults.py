"""Sorting when the world does not keep still: full and read-only disks, kills, files that vanish or grow."""

import errno
import fcntl
import os
import re
from pathlib import Path

import pytest
from library_samples import NASTY, tree

from lightning_modules.library import filing
from lightning_modules.library.journal import read
from lightning_modules.library.undo import undo

CALLS = {"hardlink": "hardlink_to", "symlink": "symlink_to", "copy": "hardlink_to"}


def fail(monkeypatch, name, code, *, after=0, times=10**9):
    """Let a method of `Path` fail from its call number `after` on."""
    original, calls = getattr(Path, name), []

    def method(self, *arguments, **options):
        calls.append(self)
        if after < len(calls) <= after + times:
            raise OSError(code, os.strerror(code), str(self))
        return original(self, *arguments, **options)

    monkeypatch.setattr(Path, name, method)


@pytest.mark.parametrize("mode", CALLS)
@pytest.mark.parametrize("after", [0, 1, 7])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_run_stopped_by_the_disk_goes_on(sort, library, tmp_path, tagger, monkeypatch, mode, after, code):
    originals = tree(library)
    with monkeypatch.context() as patch:
        fail(patch, CALLS[mode], code, after=after)
        done = sort(mode=mode)
    assert os.strerror(code) in done.stopped
    assert done.num_made == after
    assert tree(library) == originals
    heard = len(tagger.heard)
    done = sort(mode=mode)
    assert (done.num_made, done.stopped) == (2 * len(NASTY) - after, "")
    assert len(tagger.heard) - heard == 2 * len(NASTY) - heard  # none twice
    assert undo(tmp_path / "into").kept == {}
    assert tree(library) == originals
    assert not (tmp_path / "into").exists()


def test_a_full_disk_of_its_own(sort, library, tmp_path, tagger):
    """On a real small file system, where the test may mount one: audio and journal both meet its end."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=128k tmpfs {disk} 2>/dev/null"):
        pytest.skip("mounting needs root")
    try:
        for number in range(20):
            (library / f"long{number}.wav").write_bytes(b"d" * 20_000)
        originals = tree(library)
        done = sort(mode="copy", target=disk / "into")
        assert "No space left" in done.stopped
        assert tree(library) == originals
        os.system(f"mount -o remount,size=2m {disk}")
        done = sort(mode="copy", target=disk / "into")
        assert (done.stopped, len(done.manifest.filed)) == ("", 2 * len(NASTY) + 20)
        for path, entries in done.manifest.filed.items():
            assert (disk / "into" / entries[0]).read_bytes() == (library / path).read_bytes()
        assert sort(mode="hardlink", target=disk / "other").num_symlinks == 2 * len(NASTY) + 20
        os.system(f"mount -o remount,ro {disk}")
        with pytest.raises(OSError, match="Read-only"):
            sort(mode="copy", target=disk / "into")
        with pytest.raises(OSError, match="Read-only"):
            undo(disk / "into")
        os.system(f"mount -o remount,rw {disk}")
        assert undo(disk / "into").kept == {}
        assert not (disk / "into").exists()
    finally:
        os.system(f"umount {disk}")


@pytest.mark.parametrize("mode", CALLS)
def test_killed_at_any_byte_of_the_journal(sort, library, tmp_path, mode):
    """What was announced and not made is made; a line that was cut off counts as not written."""
    sort(mode=mode)
    journal = tmp_path / "into" / ".sort" / "journal.jsonl"
    content, complete = journal.read_bytes(), tree(tmp_path / "into")
    begin = content.rindex(b'{"made"')
    end = content.index(b"\n", begin) + 1
    last = tmp_path / "into" / next(reversed(read(tmp_path / "into").made))
    for cut in [*range(begin, end, 7), end - 1, end]:
        last.unlink(missing_ok=True)
        (tmp_path / "into" / "sorted.csv").unlink(missing_ok=True)
        journal.write_bytes(content[:cut])
        done = sort(mode=mode)
        assert done.num_made == 1
        assert {path for path, _ in complete.items()} == set(tree(tmp_path / "into"))


def test_a_lost_journal_makes_nothing_twice(sort, tmp_path):
    sort()
    before = {path for path in (tmp_path / "into").rglob("*") if path.name != "sorted.csv"}
    (tmp_path / "into" / ".sort" / "journal.jsonl").unlink()
    (tmp_path / "into" / "sorted.csv").unlink()
    assert sort().num_made == 0
    assert {path for path in (tmp_path / "into").rglob("*") if path.name != "sorted.csv"} == before


@pytest.mark.parametrize("mode", CALLS)
def test_a_library_that_changes_meanwhile(sort, library, tmp_path, tagger, mode):
    listen = tagger.probabilities

    def meanwhile(paths):
        for index, result in listen(paths):
            if index == 0:
                (library / "a" / "plain.wav").unlink()
                (library / "a" / "two.dots.wav").write_bytes(b"d, and more")
                (library / "late.wav").write_bytes(b"b")
            yield index, result

    tagger.probabilities = meanwhile
    done = sort(mode=mode)
    assert done.manifest.unsorted["a/two.dots.wav"] == "changed while it was sorted: run again"
    assert done.manifest.unsorted["a/plain.wav"].startswith(("gone", "is empty"))
    assert len(done.manifest.filed) == 2 * len(NASTY) - 2
    tagger.probabilities = listen
    done = sort(mode=mode)
    assert done.manifest.unsorted == {}
    assert done.manifest.filed["late.wav"] == ["bass/late.wav"]
    assert (tmp_path / "into" / done.manifest.filed["a/two.dots.wav"][0]).read_bytes() == b"d, and more"


def test_a_file_that_grows_while_it_is_copied(sort, library, tmp_path, monkeypatch):
    copy = filing.shutil.copy2

    def grows(source, target):
        copy(source, target)
        if source.name == "plain.wav":
            source.write_bytes(b"d, and more")

    monkeypatch.setattr(filing.shutil, "copy2", grows)
    done = sort(mode="copy")
    assert done.manifest.unsorted.keys() == {"a/plain.wav", "b c/deep/plain.wav"}
    assert set(done.manifest.unsorted.values()) == {"changed while it was copied: run again"}
    assert not list((tmp_path / "into").glob("*/plain.wav"))


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EMLINK])
def test_impossible_hard_links_become_symbolic_ones(sort, library, tmp_path, monkeypatch, code):
    fail(monkeypatch, "hardlink_to", code)
    done = sort()
    assert done.num_symlinks == 2 * len(NASTY)
    assert (tmp_path / "into" / "drum" / "plain.wav").readlink() == library / "a" / "plain.wav"
    assert sort().num_made == 0
    assert undo(tmp_path / "into").kept == {}
    assert not (tmp_path / "into").exists()


def test_what_is_wrong_with_one_file_stops_no_other(sort, monkeypatch):
    fail(monkeypatch, "hardlink_to", errno.ENAMETOOLONG, after=3, times=2)
    done = sort()
    assert list(done.manifest.unsorted.values()) == [os.strerror(errno.ENAMETOOLONG)] * 2
    assert (done.stopped, len(done.manifest.filed)) == ("", 2 * len(NASTY) - 2)


def test_a_file_where_a_folder_must_be(sort, tmp_path):
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "drum").write_text("the user's")
    assert re.search("drum: is in the way", sort().stopped)


def test_one_at_a_time(sort, tmp_path):
    sort()
    with (tmp_path / "into" / ".sort" / "journal.jsonl").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another sort works there"):
            sort()


def test_a_damaged_journal_is_told(sort, tmp_path):
    sort()
    journal = tmp_path / "into" / ".sort" / "journal.jsonl"
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([*lines[:2], b"{", *lines[3:]]))
    with pytest.raises(ValueError, match=r"journal.jsonl:3: damaged line"):
        sort()
