"""Keys of files that are named for prediction: where they are in what was named, whatever else is named."""

import os

import pytest

from datamodules.clips.search import clips_to_predict


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("a/one.wav", "a/deep/one.wav", "b/one.wav", "b/two.wav", "b/two.flac", "-x y.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keys(*sources):
    return [clip.key for clip in clips_to_predict(sources)]


def test_keys_do_not_depend_on_what_else_is_named(folder):
    assert keys("a") == ["deep/one", "one"]
    assert keys(folder / "a") == ["deep/one", "one"]
    assert keys("a", "b/two.flac") == ["deep/one", "one", "two"]
    assert keys("-x y.wav", "a") == ["-x y", "deep/one", "one"]
    assert keys(".") == ["-x y", "a/deep/one", "a/one", "b/one", "b/two.flac", "b/two.wav"]


def test_files_of_one_key_are_refused(folder):
    with pytest.raises(
        ValueError, match=r"a/one.wav and b/one.wav both have the key one: name a folder above both"
    ):
        clips_to_predict(["a", "b"])
    assert keys("b/one.wav", "b/./one.wav") == ["one"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.txt", "\ufeff-x y.wav\n\nb/one.wav\r\nnone.wav\n"),
        ("list.csv", 'label,path\nx,-x y.wav\ny,"b/one.wav"\nz,none.wav\n'),
        ("list.csv", '\ufefflabel; path\nx;-x y.wav\ny;"b/one.wav"\nz;none.wav\n'),
        ("list.tsv", "file\tlabel\n-x y.wav\tx\nb/one.wav\ty\nnone.wav\tz\n"),
    ],
)
def test_lists_and_tables_name_files_from_where_they_lie(name, content, folder, monkeypatch):
    (folder / name).write_text(content)
    monkeypatch.chdir("/")
    clips = clips_to_predict([folder / name])
    assert [clip.key for clip in clips] == ["-x y", "b/one", "none"]
    assert [clip.path for clip in clips] == [
        f"{folder}/{each}" for each in ("-x y.wav", "b/one.wav", "none.wav")
    ]


def test_lists_of_windows_name_files_too(folder):
    (folder / "list.txt").write_text("a\\deep\\one.wav\nb\\two.flac\n")
    clips = clips_to_predict(["list.txt"])
    assert [(clip.key, clip.path) for clip in clips] == [
        ("a/deep/one", "a/deep/one.wav"),
        ("b/two", "b/two.flac"),
    ]


def test_a_table_without_paths_is_refused_with_its_columns(folder):
    (folder / "list.csv").write_text("sound,label\na/one.wav,x\n")
    with pytest.raises(ValueError, match=r"list.csv:1: no column is named path or .*, but sound, label"):
        clips_to_predict(["list.csv"])
    (folder / "list.csv").write_text("path,label\n,x\n")
    with pytest.raises(ValueError, match=r"list.csv:2: no file is named"):
        clips_to_predict(["list.csv"])


def test_names_that_are_no_text_have_keys_that_are(folder):
    (folder / "c").mkdir()
    (folder / "c" / os.fsdecode(b"not-utf8-\xff.wav")).touch()
    (folder / "c" / "new\nline.wav").touch()
    (folder / "list.txt").write_bytes(b"c/not-utf8-\xff.wav\n")
    assert keys("c") == ["new\\x0aline", "not-utf8-\\xff"]
    assert keys("list.txt") == ["c/not-utf8-\\xff"]
