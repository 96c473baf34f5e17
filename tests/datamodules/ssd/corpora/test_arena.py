"""Lists of the arena, whose paths are another machine's."""

import pytest

from datamodules.protocol import ProtocolError
from datamodules.ssd.corpora.arena import arena

SUFFIX = ".wav_16k.wav_norm.wav_mono.wav_silence.wav"  # of FakeOrReal
ELSEWHERE = "/data/data/AntiSpoofing-Datasets/for-norm/testing"
ROWS = (
    f"file_name,label\n{ELSEWHERE}/real/file1044{SUFFIX},bonafide\n{ELSEWHERE}/fake/file1044{SUFFIX},spoof\n"
)


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize("below", ["", "testing/", "for-norm/testing/"])
def test_real_lines_find_their_files_wherever_the_root_begins(tmp_path, below):
    (tmp_path / "fake_or_real.csv").write_text(ROWS)
    touch(tmp_path, f"{below}real/file1044{SUFFIX}", f"{below}fake/file1044{SUFFIX}")
    bonafide, spoof = arena("for", None).clips(tmp_path, "test")
    assert (bonafide.key, bonafide.target) == (f"real/file1044{SUFFIX}", 1)
    assert bonafide.path == f"{tmp_path}/{below}real/file1044{SUFFIX}"
    assert (spoof.key, spoof.target) == (f"fake/file1044{SUFFIX}", 0)
    assert spoof.path == f"{tmp_path}/{below}fake/file1044{SUFFIX}"
    assert spoof.attributes == {"corpus": "for"}


def test_relative_and_windows_paths_and_further_columns(tmp_path):
    (tmp_path / "list.csv").write_text("file_name,label,codec\na/1.wav,real,mp3\n")
    (tmp_path / "windows.csv").write_text("file_name,label\nD:\\sets\\a\\1.wav,fake\n")
    touch(tmp_path, "a/1.wav")
    (clip,) = arena("mine", "list.csv").clips(tmp_path, "train")
    assert (clip.key, clip.path, clip.target) == ("a/1.wav", f"{tmp_path}/a/1.wav", 1)
    assert clip.attributes == {"corpus": "mine", "codec": "mp3"}
    (clip,) = arena("mine", "windows.csv").clips(tmp_path, "train")
    assert (clip.key, clip.path, clip.target) == ("1.wav", f"{tmp_path}/a/1.wav", 0)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (ROWS + "/data/x.wav,fakee\n", r"list.csv:4: label 'fakee' is none of bonafide"),
        (ROWS + "/data/x.wav\n", r"list.csv:4: 1 columns where 2 were expected"),
        (ROWS + ",spoof\n", r"list.csv:4: names no file"),
        ("name,label\na.wav,spoof\n", "list.csv:1: no column 'file_name', found name, label"),
    ],
)
def test_faults_are_named_with_file_and_line(tmp_path, content, told):
    (tmp_path / "list.csv").write_text(content)
    with pytest.raises(ProtocolError, match=told):
        arena("mine", "list.csv").clips(tmp_path, "test")


def test_a_list_among_several_has_to_be_named(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(ROWS)
    with pytest.raises(ProtocolError, match=r"2 CSV files \(a.csv, b.csv\) where the list of mine"):
        arena("mine", None).clips(tmp_path, "test")


def test_the_made_corpus_has_its_layout(tmp_path):
    arena("mine", None).write_demo(tmp_path, 0)
    clips = arena("mine", None).clips(tmp_path, "test")
    assert sorted(clip.target for clip in clips) == [0] * 4 + [1] * 4
    assert all(clip.path == f"{tmp_path}/{clip.key}" for clip in clips)
