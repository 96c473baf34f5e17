"""Lists of trials beside their audio, whatever their columns are."""

import pytest

from datamodules.protocol import ProtocolError
from datamodules.ssd.trial_lists import clips_beside, clips_of_sources


@pytest.fixture
def folder(tmp_path):
    """ASVspoof2021_DF_eval with two files in flac, and another a folder deeper."""
    for name in ("flac/DF_E_2000011.flac", "flac/DF_E_2000013.flac", "flac/more/7.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("place", ["", "flac/"])
@pytest.mark.parametrize(
    ("name", "lines", "keys"),
    [
        ("ASVspoof2021.DF.cm.eval.trl.txt", "DF_E_2000011\nDF_E_2000013\n", ["DF_E_2000011", "DF_E_2000013"]),
        (
            "metadata.txt",
            "LA_0023 DF_E_2000011 nocodec - A14 spoof\nTEF2 DF_E_2000013 - - - bonafide\n",
            None,
        ),
        ("key.tsv", "filename\tcm-label\nDF_E_2000011\tspoof\nDF_E_2000013\tbonafide\n", None),
        ("list.csv", "file_name,label\n/x/DF_E_2000011.flac,spoof\n", ["/x/DF_E_2000011.flac"]),
        ("scores.txt", "DF_E_2000099 0.5\nDF_E_2000013 -0.5\n", ["DF_E_2000099", "DF_E_2000013"]),
    ],
)
def test_ids_are_found_in_any_column(folder, place, name, lines, keys):
    (folder / place / name).write_text(lines)
    clips = clips_of_sources([str(folder / place / name)])
    keys = keys or ["DF_E_2000011", "DF_E_2000013"]
    assert [(clip.key, clip.target) for clip in clips] == [(key, -1) for key in keys]
    files = [f"{folder}/flac/{key.rpartition('/')[2].removesuffix('.flac')}.flac" for key in keys]
    there = [(clip.path, file) for clip, file in zip(clips, files, strict=True) if "99" not in clip.key]
    assert [path for path, _ in there] == [file for _, file in there]


def test_a_folder_in_an_id_tells_files_of_one_name_apart(folder):
    for name in ("a/1.wav", "b/1.wav"):
        (folder / name).parent.mkdir()
        (folder / name).touch()
    (folder / "list.txt").write_text("b/1 spoof\na/1 real\n")
    assert [clip.path for clip in clips_beside(folder / "list.txt")] == [
        f"{folder}/b/1.wav",
        f"{folder}/a/1.wav",
    ]
    (folder / "list.txt").write_text("7 spoof\n1 spoof\n")
    with pytest.raises(ProtocolError, match=r"list.txt:2: 1 is .*/a/1.wav and .*/b/1.wav: put the list into"):
        clips_beside(folder / "list.txt")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("x y\nz w\n", "list.txt:1: no column names a file of audio in"),
        ("a DF_E_2000011\na DF_E_2000011\n", "list.txt:2: DF_E_2000011 comes twice, first in .*list.txt:1"),
        ("a DF_E_2000011\na\n", "list.txt:2: 1 columns where more were expected"),
    ],
)
def test_faults_are_named_with_file_and_line(folder, lines, told):
    (folder / "list.txt").write_text(lines)
    with pytest.raises(ProtocolError, match=told):
        clips_of_sources([str(folder / "list.txt")])


def test_two_lists_with_one_id_are_refused(folder):
    for name in ("x", "y"):
        (folder / name).mkdir()
        (folder / name / "1.wav").touch()
        (folder / name / "list.txt").write_text("1 spoof\n")
    with pytest.raises(ValueError, match=r"predict: .*x/1.wav and .*y/1.wav both have the key 1"):
        clips_of_sources([str(folder / name / "list.txt") for name in ("x", "y")])
