"""Where a corpus begins, and sounds in folders that are labels."""

from pathlib import Path

import pytest

from datamodules.protocol import ProtocolError
from datamodules.ssd.corpora.trees import find_home, home, language, read_columns, sounds


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize("root", ["", "a", "a/b", "a/b/x"])
def test_a_home_is_found_from_above_and_from_its_landmark(tmp_path, root):
    touch(tmp_path, "a/b/x/1.wav", "a/c/2.wav")
    assert home(tmp_path / root, "x") == tmp_path / "a/b"


def test_a_landmark_may_be_several_levels_with_any_names(tmp_path):
    touch(tmp_path, "deep/de/Bonafide/1.wav")
    assert find_home(tmp_path, "*/Bonafide") == tmp_path / "deep"
    assert find_home(tmp_path / "deep/de", "*/Bonafide") is None


def test_two_homes_are_refused(tmp_path):
    touch(tmp_path, "a/x/1.wav", "b/x/1.wav")
    with pytest.raises(ProtocolError, match=r"a and .*b: each holds x: set the root to one of them"):
        home(tmp_path, "x")


def test_sounds_are_told_apart_by_their_folders(tmp_path):
    touch(tmp_path, "top/s/b.WAV", "top/s/a.flac", "top/s/notes.txt", "top/.hidden/c.wav")
    found = list(sounds(tmp_path, "top", "<system>/<file>"))
    assert [(sound.key, sound.parts) for sound in found] == [
        ("top/s/a.flac", ("s", "a.flac")),
        ("top/s/b.WAV", ("s", "b.WAV")),
    ]
    assert [Path(sound.path) for sound in found] == [tmp_path / "top/s/a.flac", tmp_path / "top/s/b.WAV"]
    assert [sound.key for sound in sounds(tmp_path / "top/s", "", "<file>")] == ["a.flac", "b.WAV"]


def test_sounds_elsewhere_are_named(tmp_path):
    touch(tmp_path, "top/s/a.wav", "top/stray.wav")
    with pytest.raises(ProtocolError, match=r"top/stray.wav: .*top has audio at <system>/<file>: move"):
        list(sounds(tmp_path, "top", "<system>/<file>"))


def test_a_folder_without_audio_is_named(tmp_path):
    with pytest.raises(ProtocolError, match=r"top: no audio at <file>: unpack the whole corpus"):
        list(sounds(tmp_path, "top", "<file>"))


def test_a_list_without_a_column_is_refused(tmp_path):
    (tmp_path / "l.csv").write_text("file,label\na,b\n")
    with pytest.raises(ProtocolError, match=r"l.csv:1: no column 'speaker', found file, label: take"):
        list(read_columns(tmp_path / "l.csv", "file", "speaker"))


def test_languages_of_all_corpora_have_one_code():
    names = ("en_US", "EN", "English", "zh-cn", "zh-CN", "CN", "ch_dev", "Korean", "Japanese", "Thai")
    assert [language(name) for name in names] == ["en"] * 3 + ["zh"] * 4 + ["ko", "ja", "thai"]
