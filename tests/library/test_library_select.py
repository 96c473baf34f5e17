"""Query by sound: the order of what is found, its text and JSON, the index, faults in one line."""

import json
import shutil
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from library_samples import run

from lightning_modules import select
from lightning_modules.library.index import Index, unit
from lightning_modules.library.scan import SoundFile, Stamp


def test_select_finds_a_sound_by_itself_and_keeps_its_index(sounds, ckpt_path, tmp_path, capsys):
    library = tmp_path / "library"
    shutil.copytree(sounds, library)
    arguments = ["--ckpt_path", ckpt_path, "--library", library, "--top", 3, "--json"]
    queries = [sounds / "kick" / "kit1__1.flac", sounds / "clap" / "kit2__2.flac"]

    def nearest():
        assert run(select, *arguments, *queries) == 0
        return json.loads(capsys.readouterr().out)

    found = nearest()
    assert [result["nearest"][0]["path"] for result in found] == ["kick/kit1__1.flac", "clap/kit2__2.flac"]
    for result in found:
        similarities = [sound["similarity"] for sound in result["nearest"]]
        assert similarities[0] == pytest.approx(1)
        assert similarities == sorted(similarities, reverse=True)
    index = library / ".select.npz"
    before = index.stat().st_mtime_ns
    assert nearest() == found
    assert index.stat().st_mtime_ns == before  # nothing new: nothing written
    (library / "kick" / "kit1__1.flac").unlink()
    shutil.copy(queries[0], library / "clap" / "kit2__2.flac")
    found = nearest()
    assert found[0]["nearest"][0]["path"] == "clap/kit2__2.flac"
    assert all(sound["path"] != "kick/kit1__1.flac" for sound in found[0]["nearest"])


class Plane:
    """Hears every file as the point that its name says."""

    def embeddings(self, paths):
        for number, path in reversed(list(enumerate(paths))):
            x, _, y = path.partition(",")
            yield number, torch.tensor([float(x), float(y)]) if y else "is empty (0 bytes)"


def _index(**points):
    files = [SoundFile(f"{name}.wav", Stamp(0, 0)) for name in points]
    return Index(files, unit(np.array(list(points.values()), np.float32)))


def _nearest(recordings, index, top=10):
    listener: Any = Plane()
    found, faults = select.nearest(recordings, index, listener=listener, top=top)
    assert faults == {}
    return found


def test_similarity_is_the_cosine():
    (found,) = _nearest(["3,4"], _index(a=(1, 0), b=(0, 5), c=(-3, -4), d=(6, 8)))
    assert [(sound["path"], pytest.approx(sound["similarity"])) for sound in found["nearest"]] == [
        ("d.wav", 1.0),
        ("b.wav", 0.8),
        ("a.wav", 0.6),
        ("c.wav", -1.0),
    ]


def test_ties_come_by_path_and_recordings_as_asked():
    index = _index(a=(0, 1), b=(2, 0), c=(1, 0), d=(4, 0))
    found = _nearest(["1,0", "0,1"], index, top=3)
    assert [result["recording"] for result in found] == ["1,0", "0,1"]
    assert [sound["path"] for sound in found[0]["nearest"]] == ["b.wav", "c.wav", "d.wav"]
    assert found[1]["nearest"][0]["path"] == "a.wav"


def test_a_library_may_be_smaller_than_what_is_asked_for():
    assert len(_nearest(["1,0"], _index(a=(1, 0)), top=5)[0]["nearest"]) == 1


def test_an_embedding_of_zeros_is_far_from_all():
    index = _index(a=(0, 0), b=(1, 0), c=(-1, 0))
    (found,) = _nearest(["1,0"], index)
    assert [sound["path"] for sound in found["nearest"]] == ["b.wav", "a.wav", "c.wav"]


def test_an_unreadable_recording_is_named_and_the_others_are_answered():
    listener: Any = Plane()
    found, faults = select.nearest(["hum", "1,0"], _index(a=(1, 0)), listener=listener, top=1)
    assert [result["recording"] for result in found] == ["1,0"]
    assert faults == {"hum": "is empty (0 bytes)"}


def test_faults_are_one_line(sounds, ckpt_path, tmp_path, capsys):
    empty, broken = tmp_path / "empty", tmp_path / "hum.wav"
    empty.mkdir()
    broken.touch()
    hit = sounds / "kick" / "kit1__1.flac"
    index = tmp_path / "index.npz"
    for library, recording, message in (
        (empty, hit, "the library has no sound"),
        (tmp_path / "absent", hit, "absent: cannot be searched"),
        (sounds / "kick", broken, "hum.wav: "),
        (sounds / "kick", tmp_path / "none.wav", "none.wav: "),
    ):
        assert run(select, "--ckpt_path", ckpt_path, "--library", library, "--index", index, recording) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert message in line
    with pytest.raises(SystemExit) as stop:
        run(select, "--ckpt_path", ckpt_path, "--library", empty, "--top", 0, hit)
    assert stop.value.code == 2
    assert "--top: 0: expected at least 1" in capsys.readouterr().err


def test_text_names_odd_files_and_an_index_that_cannot_be_kept(sounds, ckpt_path, tmp_path, capsys):
    library = tmp_path / "library"
    shutil.copytree(sounds / "kick", library)
    (library / "zero.wav").touch()
    soundfile.write(library / "new\nline.wav", soundfile.read(library / "kit1__1.flac")[0], 22050)
    hit = sounds / "kick" / "kit1__1.flac"
    arguments = ["--ckpt_path", ckpt_path, "--library", library, "--index", hit / "index.npz"]
    assert run(select, *arguments, "--top", 3, hit) == 0
    shown = capsys.readouterr()
    first, *found = shown.out.splitlines()
    assert first == str(hit)
    assert [line[7:13] for line in found[:2]] == ["1.0000", "1.0000"]  # the same sound under two names
    assert {line[15:] for line in found[:2]} == {"kit1__1.flac", r"new\x0aline.wav"}
    assert len(found) == 3
    assert "1 files are not searched:\n  zero.wav: is empty (0 bytes)" in shown.err
    assert "the index cannot be kept" in shown.err


def test_a_damaged_index_and_one_of_another_tagger_are_made_anew(
    sounds, ckpt_path, tags_ckpt_path, tmp_path, capsys
):
    index, hit = tmp_path / "index.npz", sounds / "tom" / "kit2__1.flac"

    def nearest(tagger):
        arguments = ["--ckpt_path", tagger, "--library", sounds, "--index", index, "--json"]
        assert run(select, *arguments, hit) == 0
        return json.loads(capsys.readouterr().out)

    wanted = nearest(ckpt_path)
    index.write_bytes(index.read_bytes()[:200])
    assert nearest(ckpt_path) == wanted
    whole = index.read_bytes()
    assert nearest(tags_ckpt_path)[0]["nearest"][0]["path"] == "tom/kit2__1.flac"
    assert index.read_bytes() != whole
    assert nearest(ckpt_path) == wanted
