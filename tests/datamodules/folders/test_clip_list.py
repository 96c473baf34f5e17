"""A user's own list or folders become clips: columns, splits and files as they call them; faults with file and row."""

from typing import cast

import numpy as np
import pytest
import soundfile
from clip_lists import keys, listed, sounds

from datamodules import ClipList
from datamodules.protocol import ProtocolError


@pytest.mark.parametrize("mark", [",", "\t", ";", "  "])
def test_columns_are_known_by_the_names_that_the_user_says(tmp_path, mark):
    rows = [
        ("filename", "truth", "set", "system"),
        ("a.wav", "real", "Training", "-"),
        ("sub/b.flac", "fake", "Training", "vocoder"),
        ("c.ogg", "real", "DEV", "-"),
        ("d.wav", "fake", "held back", "tts"),
    ]
    data = listed(
        tmp_path,
        "\ufeff" + "\r\n".join(mark.join(row).replace("held back", "held_back") for row in rows) + "\r\n\r\n",
        columns={"path": "filename", "label": "truth", "split": "set", "attack": "system"},
        split_names={"held_back": "test"},
    )
    assert data.heads == {"class": ["fake", "real"]}
    assert keys(data) == {"train": ["a.wav", "sub/b.flac"], "validation": ["c.ogg"], "test": ["d.wav"]}
    (clip,) = data.split("test")
    assert (clip.path, clip.target) == (str(tmp_path / "d.wav"), 0)
    assert clip.attributes == {"attack": "tts", "source": "d.wav"}


def test_a_list_without_a_header_and_names_without_endings(tmp_path):
    sounds(tmp_path, "wav/u1.wav", "wav/u2.flac")
    data = listed(
        tmp_path,
        "p1 u1 - A01 spoof\np2 u2 - - bonafide\n",
        header=["speaker", "path", "codec", "attack", "label"],
        columns={"root": "codec"},
        roots={"-": "wav"},
        validation=0,
        test=0,
    )
    assert [clip.path for clip in data.split("train")] == [
        str(tmp_path / "wav/u1.wav"),
        str(tmp_path / "wav/u2.flac"),
    ]
    assert [clip.attributes["attack"] for clip in data.split("train")] == ["A01", "-"]


def test_roots_of_rows_absolute_paths_and_parts_of_a_file(tmp_path):
    far = tmp_path / "far"
    sounds(tmp_path, "near/long.wav", "far/b.wav", "far/c.wav")
    data = listed(
        tmp_path / "near",
        "path,root,label,split,start,end,key\n"
        "long.wav,,x,train,0,0.05,\n"
        "long.wav,,y,train,0.05,,\n"
        f"{tmp_path}/near/other.wav,,x,train,,,\n"
        f"b.wav,{far},x,test,,,\n"
        "c.wav,phone,y,test,,,call 1\n",
        roots={"phone": str(far)},
        validation=0,
    )
    assert keys(data)["train"] == ["long.wav@0-0.05", "long.wav@0.05-", "other.wav"]
    assert [(clip.start_s, clip.stop_s) for clip in data.split("train")] == [
        (0, 0.05),
        (0.05, None),
        (0, None),
    ]
    assert {clip.key: clip.path for clip in data.split("test")} == {
        "b.wav": f"{far}/b.wav",
        "call 1": f"{far}/c.wav",
    }


def test_numbers_are_labels_and_splits(tmp_path):
    """As YAML gives them, `class_names: {1: bonafide, 0: spoof}`."""
    sounds(tmp_path, "a.wav", "b.wav")
    numbers: dict = {"class_names": {1: "bonafide", 0: "spoof"}, "split_names": {2: "train"}}
    data = listed(tmp_path, "path,label,split\na.wav,1,2\nb.wav,0,2\n", validation=0, test=0, **numbers)
    data.setup("fit")
    assert [data.classes[target] for target in data.rows["train"].targets] == ["bonafide", "spoof"]


def test_paths_of_windows(tmp_path):
    sounds(tmp_path, "a/1.wav", "odd\\2.wav")
    data = listed(
        tmp_path, "path,label\na\\1.wav,x\nodd\\2.wav,x\n", validation=0, test=0, near_duplicates=None
    )
    assert [(clip.key, clip.path) for clip in data.split("train")] == [
        ("a/1.wav", f"{tmp_path}/a/1.wav"),
        ("odd\\2.wav", f"{tmp_path}/odd\\2.wav"),  # has it in its name
    ]


def test_splits_by_lists_by_files_of_paths_and_by_folders(tmp_path):
    labels = "path,label\na.wav,x\nb.wav,y\nc.wav,x\nd.wav,y\n"
    (tmp_path / "validation.txt").write_text("b.wav\n")
    (tmp_path / "test.txt").write_text("c.wav\nd.wav\n")
    wanted = {"train": ["a.wav"], "validation": ["b.wav"], "test": ["c.wav", "d.wav"]}
    parts = {"validation": "validation.txt", "test": "test.txt"}
    assert keys(listed(tmp_path, labels, splits=parts)) == wanted

    for name, rows in (("train", "a.wav,x"), ("validation", "b.wav,y"), ("test", "c.wav,x\nd.wav,y")):
        (tmp_path / f"{name}.csv").write_text(f"path,label\n{rows}\n")
    own = ClipList(root=str(tmp_path), splits={name: f"{name}.csv" for name in wanted})
    assert keys(own) == wanted

    sounds(tmp_path, "good/1.wav", "good/2.wav", "mixed/normal/3.wav", "mixed/anomaly/4.wav")
    folders = ClipList(
        root=str(tmp_path), splits={"train": "good", "test": "mixed"}, label="normal", validation=0
    )
    assert keys(folders) == {
        "train": ["good/1.wav", "good/2.wav"],
        "validation": [],
        "test": ["mixed/anomaly/4.wav", "mixed/normal/3.wav"],
    }


def test_what_levels_of_folders_say(tmp_path):
    sounds(tmp_path, "Val/x/1.wav", "train/y/deep/2.wav", "TEST/x/3.wav")
    found = {"train": ["train/y/deep/2.wav"], "validation": ["Val/x/1.wav"], "test": ["TEST/x/3.wav"]}
    assert keys(ClipList(root=str(tmp_path))) == found
    other = tmp_path / "other"
    sounds(other, "fan/2024/train/normal/1.wav", "fan/2024/test/anomaly/2.wav")
    data = ClipList(root=str(other), folders=["machine", "-", "split", "label"], validation=0)
    (clip,) = data.split("test")
    assert (clip.key, data.classes[cast(int, clip.target)]) == ("fan/2024/test/anomaly/2.wav", "anomaly")
    assert (clip.attributes["machine"], clip.attributes["instance"]) == ("fan", "fan")


def test_whole_sources_are_held_out(tmp_path):
    rows = [f"{who}/{number}.wav,{label},{who}" for who in "abcdef" for number, label in ((1, "x"), (2, "y"))]
    data = listed(
        tmp_path,
        "path,label,person\n" + "\n".join(rows),
        columns={"source": "person"},
        validation=0.2,
        test=0.3,
    )
    found = keys(data)
    speakers = {name: {key[0] for key in some} for name, some in found.items()}
    assert [len(each) for each in speakers.values()] == [3, 1, 2]
    assert len(set.union(*speakers.values())) == 6
    other = listed(
        tmp_path, (tmp_path / "list.csv").read_text(), columns={"source": "person"}, fold=1, test=0.3
    )
    assert keys(other)["test"] != found["test"]


def test_tags(tmp_path):
    data = listed(
        tmp_path,
        "path,label,split\na.wav,warm|soft,train\nb.wav,,test\nc.wav,warm,train\n",
        tag_separator="|",
        validation=0,
    )
    assert data.heads == {"soft": ["no soft", "soft"], "warm": ["no warm", "warm"]}
    assert [clip.target for clip in (*data.split("train"), *data.split("test"))] == [(1, 1), (0, 1), (0, 0)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.wav,x\na.wav,y\n", r"list.csv:3: .*a.wav is listed in .*list.csv:2 already"),
        (
            "path,label,split\na.wav,x,train\nb.wav,x,train\n./a.wav,x,test\n",
            r"list.csv:4: .*a.wav is in two splits, test here and train in .*list.csv:2",
        ),
        (
            "path,label,start,end\na.wav,x,0,2\na.wav,x,1.5,3\n",
            r"list.csv:3: .*a.wav is listed in .*list.csv:2 already",
        ),
        ("path,label,start,end\na.wav,x,2,1\n", r"list.csv:2: the clip ends at 1 s and begins at 2 s"),
        ("path,label,start\na.wav,x,1:30\n", r"list.csv:2: start '1:30' is no time in seconds"),
        ("path,label,key\na.wav,x,1\nb.wav,x,1\n", r"list.csv:3: id '1' is that of .*list.csv:2 too"),
        ("path,label,split\na.wav,x,holdout\n", r"list.csv:2: split 'holdout' is neither train"),
        ("path,label\na.wav,x\nb.wav,\n", r"list.csv:3: no label: write one"),
        (
            "path,label\n,x\na.wav,x\n,y\n",
            r"list.csv:2: names no file; .*list.csv:4: names no file: write its path",
        ),
        ("path,label\na.wav\n", r"list.csv:2: 1 columns where 2 were expected \(path, label\)"),
        ("path,path\na.wav,b\n", r"list.csv:1: two columns are named 'path'"),
        ("name,label\na.wav,x\n", r"list.csv: no column is named path, but name, label: say which"),
        ("path,label\n", r"list.csv: names no file below its header"),
    ],
)
def test_a_faulty_row_is_told_with_file_and_line(tmp_path, text, message):
    with pytest.raises(ProtocolError, match=message):
        listed(tmp_path, text, validation=0, test=0).split("train")


def test_a_list_of_another_encoding_is_told_with_the_way_out(tmp_path):
    for encoding, message in (
        ("utf-16", "list.csv: is UTF-16: convert"),
        ("latin1", "list.csv:2: byte 0xfc"),
    ):
        (tmp_path / "list.csv").write_text("path,label\nTür.wav,x\n", encoding=encoding)
        with pytest.raises(ProtocolError, match=f"{message}.*iconv -f {encoding}"):
            ClipList(root=str(tmp_path), list="list.csv").split("train")


def test_a_column_that_is_not_there_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(
        ProtocolError, match=r"has no column 'filenam' \(filename\?\), which data.columns names for path"
    ):
        listed(tmp_path, "filename,label\na.wav,x\n", columns={"path": "filenam"}).split("train")


def test_missing_files_are_told_with_their_lines_before_training(tmp_path):
    sounds(tmp_path, "a.wav")
    names = ["b", "c", "d", "e"]
    rows = "path,label,split\na.wav,x,train\n" + "".join(f"{name}.wav,y,test\n" for name in names)
    place = f"{tmp_path}/list.csv"
    with pytest.raises(ProtocolError) as told:
        listed(tmp_path, rows, validation=0).setup("fit")
    missing = [f"{place}:{line}: {tmp_path}/{name}.wav: no such file" for line, name in enumerate("bcd", 3)]
    assert str(told.value) == f"{'; '.join(missing)}; and 1 more: correct the path, data.root or data.roots"
    (tmp_path / "excluded.csv").write_text("key,reason\n" + "".join(f"{name}.wav,lost\n" for name in names))
    again = listed(tmp_path, rows, validation=0)
    again.setup("fit")
    assert [clip.key for clip in again.rows["train"]] == ["a.wav"]


def test_faults_of_all_kinds_are_told_at_once(tmp_path):
    text = (
        "path,label,split,start\na.wav,x,train,\nb.wav,,train,\nc.wav,x,hold,\nd.wav,x,,soon\na.wav,x,test,\n"
    )
    with pytest.raises(ProtocolError) as told:
        listed(tmp_path, text).split("train")
    place = f"{tmp_path}/list.csv"
    faults, *ways_out = str(told.value).split(": write one")
    assert faults == (
        f"{place}:3: no label; {place}:4: split 'hold' is neither train, validation nor test; {place}:5: start 'soon'"
        " is no time in seconds; and 1 more"
    )
    (ways_out,) = ways_out
    assert "data.split_names='{hold: test}'; correct the line" in ways_out


def test_lines_of_other_columns_are_told_at_once(tmp_path):
    with pytest.raises(
        ProtocolError, match=r"list.csv:2: 1 columns .*; .*list.csv:4: 3 columns .*\): correct"
    ):
        listed(tmp_path, "path,label\na.wav\nb.wav,x\nc, d.wav,x\n").split("train")


def test_a_part_within_another_is_listed_twice(tmp_path):
    """Also where a third one begins between them."""
    rows = "path,label,start,end\na.wav,x,0,10\na.wav,x,1,2\na.wav,x,5,6\n"
    with pytest.raises(ProtocolError) as told:
        listed(tmp_path, rows).split("train")
    assert [part for part in ("list.csv:3: ", "list.csv:4: ") if part in str(told.value)]
    assert str(told.value).count("is listed in") == 2


def test_files_that_cannot_be_read_are_told_with_their_lines(tmp_path):
    sounds(tmp_path, *(f"{name}.wav" for name in "abcd"))
    (tmp_path / "b.wav").write_bytes(b"")
    (tmp_path / "d.wav").write_text("no sound")
    data = listed(tmp_path, "path,label\n" + "".join(f"{name}.wav,x\n" for name in "abcd"), validation=0)
    with pytest.raises(ProtocolError) as told:
        data.setup("fit")
    first, second = str(told.value).split("; " + str(tmp_path))
    assert first.startswith(f"{tmp_path}/list.csv:3: {tmp_path}/b.wav: is empty (0 bytes)")
    assert second.startswith("/list.csv:5: ")
    assert "--exclude" in second


def twin(root, name, of, gain=-0.5):
    samples, rate = soundfile.read(root / of)
    soundfile.write(root / name, gain * samples, rate)


def test_the_same_recording_stays_on_one_side(tmp_path):
    names = [f"{label}{number}.wav" for label in "xy" for number in range(8)]
    sounds(tmp_path, *names)
    twin(tmp_path, "x7.wav", "x2.wav")
    rows = "path,label\n" + "".join(f"{name},{name[0]}\n" for name in names)
    parted = 0
    for fold in range(6):
        found = keys(listed(tmp_path, rows, fold=fold, test=0.25, validation=0.25))
        assert [len(some) for some in found.values()] == [8, 4, 4]
        assert len({part for part, some in found.items() if {"x2.wav", "x7.wav"} & set(some)}) == 1
        alone = keys(listed(tmp_path, rows, fold=fold, test=0.25, validation=0.25, near_duplicates=None))
        parted += len({part for part, some in alone.items() if {"x2.wav", "x7.wav"} & set(some)}) == 2
    assert parted


def test_the_same_recording_on_two_given_sides_is_told(tmp_path):
    sounds(tmp_path, *(f"{number}.wav" for number in range(7)))
    twin(tmp_path, "6.wav", "1.wav")
    rows = "path,label,split\n" + "".join(f"{n}.wav,x,{'test' if n == 6 else 'train'}\n" for n in range(7))
    with pytest.warns(UserWarning, match=r"1 pairs of files .* two sides .* 1.wav and 6.wav: figures"):
        listed(tmp_path, rows, validation=0.4, test=0).split("train")


def test_named_sources_are_held_out(tmp_path):
    rows = "path,label,source\n" + "".join(f"{who}{n}.wav,x,{who}\n" for who in "abc" for n in (1, 2))
    assert keys(listed(tmp_path, rows, test=["b"], validation=["c"])) == {
        "train": ["a1.wav", "a2.wav"],
        "validation": ["c1.wav", "c2.wav"],
        "test": ["b1.wav", "b2.wav"],
    }
    with pytest.raises(ValueError, match=r"no source 'd' to hold out: name one of a, b, c"):
        listed(tmp_path, rows, test=["d"]).split("train")


@pytest.mark.parametrize(
    ("source", "copies", "way_out"),
    [
        ("all", False, "set columns without source to split single files, or test to 0"),
        ("", True, "set near_duplicates to null, for files that only sound alike, or test to 0"),
    ],
)
def test_the_way_out_of_what_cannot_be_held_out(tmp_path, source, copies, way_out):
    names = [f"{n}.wav" for n in range(4)]
    sounds(tmp_path, *names)
    for name in names[1:] if copies else ():
        twin(tmp_path, name, "0.wav")
    rows = "path,label,source\n" + "".join(f"{name},x,{source}\n" for name in names)
    with pytest.raises(ValueError, match=f"nothing can be held out for test .*; {way_out}"):
        listed(tmp_path, rows).split("train")


def test_a_silent_beginning_is_no_fault(tmp_path):
    sounds(tmp_path, "a.wav", "b.wav", "c.wav")
    soundfile.write(tmp_path / "b.wav", np.zeros(800), 8000)
    data = listed(tmp_path, "path,label\na.wav,x\nb.wav,x\nc.wav,x\n", validation=0, test=0.3)
    data.setup("fit")
    assert sum(map(len, keys(data).values())) == 3


def test_a_path_of_a_split_that_the_list_has_not_is_told(tmp_path):
    (tmp_path / "test.txt").write_text("a.wav\nz.wav\n")
    with pytest.raises(ProtocolError, match=r"test.txt:2: z.wav is not in .*list.csv"):
        listed(tmp_path, "path,label\na.wav,x\n", splits={"test": "test.txt"}).split("train")


def test_a_label_that_a_method_does_not_know_is_told_with_its_line(tmp_path):
    sounds(tmp_path, "a.wav", "b.wav")
    rows = "path,label,split\na.wav,bonafide,train\nb.wav,spof,train\n"
    data = listed(tmp_path, rows, validation=0, test=0)
    data.setup("fit")
    with pytest.raises(
        ProtocolError,
        match=r"list.csv:3: label 'spof' is none of bonafide, spoof, which the Detector tells apart: correct it",
    ):
        data.count_classes_as({"class": ["spoof", "bonafide"]}, method="Detector", complete=True)
    named = listed(tmp_path, rows, validation=0, test=0, class_names={"spof": "spoof"})
    named.setup("fit")
    named.count_classes_as({"class": ["spoof", "bonafide"]}, method="Detector", complete=True)
    assert named.rows["train"].targets.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give data.root, the folder of the sounds, or data.list"),
        ({"root": "x", "splits": {"dev": "y"}}, "data.splits: 'dev' is neither train, validation nor test"),
        ({"root": "x", "test": 1}, "test is 1: give at least 0 and less than 1"),
        ({"root": "x", "columns": {"path": "y"}}, "data.columns is of a list, and none is named"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ClipList(**settings)


def test_a_root_without_sounds_is_named(tmp_path):
    with pytest.raises(ProtocolError, match=r"gone: no such folder or list: correct data.root"):
        ClipList(root=str(tmp_path / "gone")).split("train")
