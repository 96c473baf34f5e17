"""A user's own list or folders become clips: columns, splits and files as they call them; faults with file and row."""

from typing import cast

import numpy as np
import pytest
import soundfile

from datamodules import ClipList
from datamodules.folders.sound_files import Part
from datamodules.protocol import ProtocolError


def sounds(root, *names, rate=8000):
    """Writes a short noise of its own into each file."""
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        noise = 0.1 * np.random.default_rng(number).normal(size=rate // 10)
        soundfile.write(root / name, noise, rate)


def keys(data):
    return {name: [clip.key for clip in data.split(name)] for name in ("train", "validation", "test")}


def listed(root, text, **settings):
    (root / "list.csv").write_text(text)
    return ClipList(root=str(root), list="list.csv", **settings)


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


def test_machines_learn_from_normal_sounds_and_are_tested_on_the_rest(tmp_path):
    rows = [
        f"{machine}/{label}{number}.wav,{label},{machine}"
        for machine in ("pump", "saw")
        for label, count in (("worn", 2), ("ok", 8))
        for number in range(count)
    ]
    text = "path,state,machine\n" + "\n".join(rows)
    names = {"ok": "normal", "worn": "anomaly"}
    data = listed(tmp_path, text, columns={"label": "state"}, class_names=names, validation=0.25, test=0.25)
    found = {
        name: [(clip.attributes["instance"], clip.target) for clip in data.split(cast(Part, name))]
        for name in keys(data)
    }
    ok, worn = data.heads["class"].index("ok"), data.heads["class"].index("worn")
    for machine in ("pump", "saw"):
        assert [len([1 for each in found[name] if each == (machine, ok)]) for name in found] == [4, 2, 2]
        assert [found[name].count((machine, worn)) for name in found] == [0, 0, 2]
    assert data.year == 2020

    (tmp_path / "alone").mkdir()
    alone = listed(tmp_path / "alone", "path\na.wav\nb.wav\n", label="normal", validation=0, test=0)
    assert alone.heads == {"class": ["normal", "anomaly"]}
    assert {clip.attributes["instance"] for clip in alone.split("train")} == {"alone"}


def test_normal_sounds_of_training_come_first_and_are_the_reference(tmp_path):
    sounds(tmp_path, "a.wav", "b.wav", "c.wav")
    data = listed(
        tmp_path,
        "path,label,domain,split\nb.wav,anomaly,source,train\na.wav,normal,source,train\nc.wav,normal,target,train\n",
        sample_rate=8000,
        eval_crop_s=0.1,
        num_workers=0,
        validation=0,
        test=0,
    )
    assert keys(data)["train"] == ["a.wav", "c.wav", "b.wav"]
    assert sorted(key for batch in data.reference_dataloader() for key in batch.key) == ["a.wav", "c.wav"]
    assert data.year == 2025


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
        ("path,label\na.wav\n", r"list.csv:2: 1 columns where 2 were expected \(path, label\)"),
        ("path,path\na.wav,b\n", r"list.csv:1: two columns are named 'path'"),
        ("name,label\na.wav,x\n", r"list.csv: no column is named path, but name, label: say which"),
        ("path,label\n", r"list.csv: names no file below its header"),
    ],
)
def test_a_faulty_row_is_told_with_file_and_line(tmp_path, text, message):
    with pytest.raises(ProtocolError, match=message):
        listed(tmp_path, text, validation=0, test=0).split("train")


def test_a_column_that_is_not_there_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(
        ProtocolError, match=r"has no column 'filenam' \(filename\?\), which data.columns names for path"
    ):
        listed(tmp_path, "filename,label\na.wav,x\n", columns={"path": "filenam"}).split("train")


def test_a_missing_file_is_told_with_its_line(tmp_path):
    sounds(tmp_path, "a.wav")
    data = listed(
        tmp_path, "path,label,split\na.wav,x,train\nb.wav,x,train\nc.wav,y,train\n", validation=0, test=0
    )
    with pytest.raises(
        ProtocolError, match=r"list.csv:3: .*b.wav: no such file, nor are 1 others of the 3 of train"
    ):
        data.setup("fit")
    (tmp_path / "excluded.csv").write_text("key,reason\nb.wav,lost\nc.wav,lost\n")
    again = listed(
        tmp_path, "path,label,split\na.wav,x,train\nb.wav,x,train\nc.wav,y,train\n", validation=0, test=0
    )
    again.setup("fit")
    assert [clip.key for clip in again.rows["train"]] == ["a.wav"]


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
        match=r"list.csv:3: label 'spof' is none of bonafide, spoof, which the Detector tells apart",
    ):
        data.count_classes_as({"class": ["spoof", "bonafide"]}, method="Detector", complete=True)
    named = listed(tmp_path, rows, validation=0, test=0, class_names={"spof": "spoof"})
    named.setup("fit")
    named.count_classes_as({"class": ["spoof", "bonafide"]}, method="Detector", complete=True)
    assert named.rows["train"].targets.tolist() == [1, 0]


def test_scores_are_official_where_names_allow(tmp_path):
    names = ["x/normal_id_00_00000000.wav", "x/anomaly_id_02_00000007.wav"]
    text = "path,label,machine,split\n" + "".join(
        f"{name},{name[2:].split('_')[0]},fan,test\n" for name in names
    )
    data = listed(tmp_path, text)
    folder = data.write_scores(tmp_path / "test.txt", names, [0.25, 1.5], [0, 1])
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "anomaly_score_fan_id_00.csv": "normal_id_00_00000000.wav,0.25\n",
        "anomaly_score_fan_id_02.csv": "anomaly_id_02_00000007.wav,1.5\n",
        "decision_result_fan_id_00.csv": "normal_id_00_00000000.wav,0\n",
        "decision_result_fan_id_02.csv": "anomaly_id_02_00000007.wav,1\n",
    }
    plain = listed(tmp_path, "path,label,split\na.wav,normal,test\n")
    path = plain.write_scores(tmp_path / "plain.txt", ["a.wav"], [0.5], [1])
    assert (path.name, path.read_text()) == ("plain.csv", "key,score,decision\na.wav,0.5,1\n")


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
