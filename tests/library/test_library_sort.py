"""Sorting with a stub for the tagger: what is filed, under which names, and that nothing else changes."""

import csv
import json
import os
from pathlib import Path

import pytest
from library_samples import NASTY, tree

from datamodules.audio.names import escape, unescape
from lightning_modules.library.rule import Rule


@pytest.mark.parametrize("mode", ["hardlink", "symlink", "copy"])
def test_every_name_is_filed_and_nothing_else_touched(sort, library, tmp_path, mode):
    before = tree(library)
    done = sort(mode=mode, json=True)
    assert (done.num_made, done.num_others, done.manifest.unsorted) == (2 * len(NASTY), 2, {})
    assert tree(library) == before
    for tag, first in (("drum", b"d"), ("bass", b"b")):
        entries = {os.fsencode(path.name): path for path in (tmp_path / "into" / tag).iterdir()}
        assert sorted(entries) == sorted(NASTY)
        for number, name in enumerate(NASTY):
            assert entries[name].read_bytes() == first + b"%d" % number
            assert entries[name].is_symlink() == (mode == "symlink")
            original = Path(
                os.fsdecode(os.fsencode(library) + (b"/a/" if tag == "drum" else b"/b c/deep/") + name)
            )
            assert entries[name].samefile(original) == (mode != "copy")


def test_a_second_run_changes_nothing_and_listens_to_nothing(sort, tmp_path, tagger):
    sort(json=True)
    before, heard = tree(tmp_path), len(tagger.heard)
    done = sort(json=True)
    assert tree(tmp_path) == before
    assert len(tagger.heard) == heard
    assert (done.num_made, len(done.manifest.filed)) == (0, 2 * len(NASTY))


def test_equal_names_are_both_kept(sort, library, tmp_path):
    for folder in ("x", "y", "z"):
        (library / folder).mkdir()
        (library / folder / "kick.wav").write_bytes(b"d same")
        (library / folder / ("k" * 250 + ".flac")).write_bytes(b"d" + folder.encode())
    sort()
    assert {"kick.wav", "kick-2.wav", "kick-3.wav"} <= {
        path.name for path in (tmp_path / "into" / "drum").iterdir()
    }
    numbered = "k" * 248 + "-2.flac"
    assert len(numbered) == 255
    assert (tmp_path / "into" / "drum" / numbered).read_bytes() == b"dy"


def test_what_is_in_the_target_stays(sort, tmp_path):
    (tmp_path / "into" / "drum").mkdir(parents=True)
    (tmp_path / "into" / "drum" / "plain.wav").write_bytes(b"the user's")
    done = sort()
    assert (tmp_path / "into" / "drum" / "plain.wav").read_bytes() == b"the user's"
    assert (tmp_path / "into" / "drum" / "plain-2.wav").read_bytes() == b"d0"
    assert done.manifest.filed["a/plain.wav"] == ["drum/plain-2.wav"]


def test_manifest(sort, library, tmp_path):
    (library / "broken.wav").touch()
    sort(rule=Rule(1, 0.8), json=True)
    with (tmp_path / "into" / "sorted.csv").open(newline="") as file:
        rows = {unescape(row["path"]): row for row in csv.DictReader(file)}
    assert len(rows) == 2 * len(NASTY) + 1
    assert rows["broken.wav"] | {"path": ""} == {
        "path": "", "tag": "", "filed": "", "unsorted": "is empty (0 bytes)", "p(drum)": None, "p(bass)": None,
    }  # fmt: skip
    for name in map(os.fsdecode, NASTY):
        assert (rows[f"a/{name}"]["tag"], rows[f"a/{name}"]["p(drum)"]) == ("drum", "0.9")
        entry = unescape(rows[f"b c/deep/{name}"]["filed"])
        assert entry == f"_unsure/{name}"
        assert (tmp_path / "into" / entry).exists()
    files = json.loads((tmp_path / "into" / "sorted.json").read_text())["files"]
    assert {unescape(file["path"]) for file in files} == rows.keys()


def test_several_tags(sort, library, tmp_path):
    (library / "both.wav").write_bytes(b"?")
    done = sort(rule=Rule(2, 0.5))
    assert done.manifest.filed["both.wav"] == ["drum/both.wav", "bass/both.wav"]
    assert done.manifest.filed["a/plain.wav"] == ["drum/plain.wav"]


def test_dry_run_makes_nothing_and_tells_the_same(sort, library, tmp_path):
    (library / "plain.wav").write_bytes(b"d again")
    before = tree(tmp_path)
    planned = sort(dry_run=True)
    assert tree(tmp_path) == before
    done = sort()
    assert planned.manifest == done.manifest
    assert planned.num_made == done.num_made


def test_links_and_what_is_no_file(sort, library, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "far.wav").write_bytes(b"d")
    (library / "0link").symlink_to(outside)
    (library / "0again").symlink_to(library / "a")
    (library / "to_file.wav").symlink_to(outside / "far.wav")
    (library / "nowhere.wav").symlink_to(tmp_path / "missing")
    (library / "self.wav").symlink_to(library / "self.wav")
    os.mkfifo(library / "pipe.wav")
    (library / "folder.wav").mkdir()
    done = sort()
    assert {"0link/far.wav", "to_file.wav"} <= done.manifest.filed.keys()
    assert not any(path.startswith(("0again", "a/circle")) for path in done.manifest.filed)
    assert done.manifest.unsorted.keys() == {"nowhere.wav", "self.wav", "pipe.wav"}
    assert not (tmp_path / "into" / "drum" / "to_file.wav").is_symlink()


def test_the_target_may_lie_in_the_library(sort, library):
    sort(target=library / "by tag")
    before = tree(library)
    assert sort(target=library / "by tag").num_made == 0
    assert tree(library) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "copy"}, "another mode"),
        ({"rule": Rule(2)}, "another tags"),
        ({"rule": Rule(1, 0.5)}, "another threshold"),
    ],
)
def test_other_settings_need_an_undo(sort, tmp_path, change, message):
    sort()
    before = tree(tmp_path)
    with pytest.raises(ValueError, match=f"into: was sorted into with {message}.*--undo"):
        sort(**change)
    assert tree(tmp_path) == before


def test_refusals(sort, library, tmp_path, tagger):
    with pytest.raises(ValueError, match="parent folder is missing"):
        sort(target=tmp_path / "a" / "b")
    with pytest.raises(ValueError, match="is the library itself"):
        sort(target=library / "." / "a" / "..")
    with pytest.raises(ValueError, match="cannot be searched"):
        sort(library=tmp_path / "none")
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "sorted.csv").write_text("the user's")
    with pytest.raises(ValueError, match="is not as sort wrote it"):
        sort()
    tagger.classes[0] = "../drum"
    with pytest.raises(ValueError, match="cannot name a folder"):
        sort()


@pytest.mark.parametrize("name", [*NASTY, bytes(range(1, 47)) + bytes(range(48, 256))])
def test_escaped_names_are_one_line_of_text_and_come_back(name):
    text = escape(os.fsdecode(name))
    assert text.isprintable()
    assert os.fsencode(unescape(text)) == name
    text.encode()
