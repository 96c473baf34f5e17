"""Folders of classes and lists of tags: labels, sources, splits without leaks, odd files, files of scores."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from datamodules import AudioFolder
from datamodules.demo.one_shots import write_one_shots
from datamodules.protocol import ProtocolError

RATE = 8000


def _write(root: Path, *names: str, seed: int = 0) -> None:
    """Noise of 0.1 s, another in every file."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng([seed, number]).normal(0, 0.1, 800)
        soundfile.write(path, noise, RATE)


def _folder(root: Path, **settings: Any) -> AudioFolder:
    defaults: dict[str, Any] = {"sample_rate": RATE, "train_crop_s": 0.1, "eval_crop_s": 0.1, "batch_size": 4}
    return AudioFolder(root=str(root), num_workers=0, **(defaults | settings))


def _keys(data: AudioFolder) -> dict[str, set[str]]:
    return {name: {clip.key for clip in data.split(name)} for name in ("train", "validation", "test")}


@pytest.fixture
def kits(tmp_path) -> Path:
    """Ten kits of two kicks and two snares."""
    names = [f"{drum}/kit{k}__{hit}.wav" for k in range(10) for drum in ("kick", "snare") for hit in (1, 2)]
    _write(tmp_path, *names)
    return tmp_path


def test_folders_are_classes_at_any_depth(tmp_path):
    _write(tmp_path, "kick/a.wav", "kick/old/b.FLAC", "snare/c.wav", "at-the-top.wav", "kick/.hidden.wav")
    (tmp_path / "kick" / "readme.txt").write_text("no sound")
    data = _folder(tmp_path, validation=0, test=0)
    assert data.heads == {"class": ["kick", "snare"]}
    assert [(clip.key, clip.target) for clip in data.split("train")] == [
        ("kick/a.wav", 0),
        ("kick/old/b.FLAC", 0),
        ("snare/c.wav", 1),
    ]


def test_links_are_followed(tmp_path):
    _write(tmp_path / "elsewhere", "a.wav", "b.wav")
    (tmp_path / "root" / "kick").mkdir(parents=True)
    (tmp_path / "root" / "kick" / "a.wav").symlink_to(tmp_path / "elsewhere" / "a.wav")
    (tmp_path / "root" / "snare").symlink_to(tmp_path / "elsewhere")
    keys = _keys(_folder(tmp_path / "root", validation=0, test=0, near_duplicates=None))
    assert keys["train"] == {"kick/a.wav", "snare/a.wav", "snare/b.wav"}


def test_a_given_split_is_kept(tmp_path):
    _write(tmp_path, "Train/kick/a.wav", "Train/snare/b.wav", "Test/kick/c.wav", "val/snare/d.wav")
    assert _keys(_folder(tmp_path)) == {
        "train": {"Train/kick/a.wav", "Train/snare/b.wav"},
        "validation": {"val/snare/d.wav"},
        "test": {"Test/kick/c.wav"},
    }


def test_kits_are_held_out_as_a_whole(kits):
    keys = _keys(_folder(kits))
    kit = {name: {key.split("/")[1].split("__")[0] for key in found} for name, found in keys.items()}
    assert [len(kit[name]) for name in ("train", "validation", "test")] == [7, 1, 2]
    assert not kit["train"] & (kit["validation"] | kit["test"])
    assert not kit["validation"] & kit["test"]
    assert _keys(_folder(kits)) == keys
    assert _keys(_folder(kits, fold=1)) != keys


@pytest.mark.parametrize(("fold", "validation", "test"), [(0, "9", "34"), (1, "1", "24"), (2, "0", "26")])
def test_the_kits_of_a_fold_are_those_of_earlier_versions(kits, fold, validation, test):
    found = _keys(_folder(kits, fold=fold))
    assert {key.split("/")[1].split("__")[0] for key in found["validation"]} == {f"kit{validation}"}
    assert {key.split("/")[1].split("__")[0] for key in found["test"]} == {f"kit{kit}" for kit in test}


def test_named_sources_are_held_out(kits):
    keys = _keys(_folder(kits, test=["kit3"], validation=["kit5"]))
    assert keys["test"] == {f"{drum}/kit3__{hit}.wav" for drum in ("kick", "snare") for hit in (1, 2)}
    assert all("kit5" in key for key in keys["validation"])
    with pytest.raises(ValueError, match="no source 'kit33' to hold out: name one of kit3"):
        _folder(kits, test=["kit33"]).split("test")


def test_source_null_splits_files_and_another_pattern_folders(kits):
    keys = _keys(_folder(kits, source=None))
    assert [len(found) for found in keys.values()] == [28, 4, 8]
    data = _folder(kits, source=r"([^/]+)/[^/]*$", validation=0, test=0)
    assert {clip.attributes["source"] for clip in data.split("train")} == {"kick", "snare"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "("}, "no regular expression"),
        ({"source": "kit"}, "no group"),
        ({"test": 1.0}, "test is 1.0"),
        ({"validation": -0.1}, "validation is -0.1"),
    ],
)
def test_wrong_settings(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        _folder(tmp_path, **settings)


def test_twins_are_on_one_side(kits):
    sound, _ = soundfile.read(kits / "kick" / "kit3__1.wav")
    soundfile.write(kits / "kick" / "kit8__1.wav", -0.5 * sound, RATE)
    for fold in range(5):
        keys = _keys(_folder(kits, fold=fold))
        sides = [{name for name, found in keys.items() if f"kick/kit{k}__1.wav" in found} for k in (3, 8)]
        assert sides[0] == sides[1]


def test_twins_across_a_given_split_are_told(tmp_path):
    _write(tmp_path, "Train/kick/a.wav", "Train/kick/b.wav", "Test/kick/c.wav")
    sound, _ = soundfile.read(tmp_path / "Train/kick/a.wav")
    soundfile.write(tmp_path / "Test/kick/copy.wav", 0.5 * sound, RATE)
    with pytest.warns(UserWarning, match=r"1 pairs .* Test/kick/copy.wav and Train/kick/a.wav"):
        _folder(tmp_path, test=0).split("test")


def test_a_class_of_one_source_is_only_trained(tmp_path):
    _write(tmp_path, "kick/a__1.wav", "kick/b__1.wav", "snare/c__1.wav", "snare/c__2.wav")
    assert not any(key.startswith("snare") for key in _keys(_folder(tmp_path, validation=0))["test"])
    with pytest.raises(ValueError, match=r"nothing can be held out for validation .* set source to null"):
        _folder(tmp_path, validation=0.5).split("train")


def test_the_way_out_of_what_cannot_be_held_out_is_one(tmp_path):
    """Twins join the kits of a class: splitting single files changes nothing."""
    _write(
        tmp_path,
        *(f"{drum}/kit{kit}__{hit}.wav" for drum in ("kick", "snare") for kit in (1, 2) for hit in (1, 2)),
    )
    sound, _ = soundfile.read(tmp_path / "kick/kit1__1.wav")
    for path in tmp_path.glob("*/*.wav"):
        soundfile.write(path, sound, RATE)
    with pytest.raises(
        ValueError, match=r"nothing can be held out for test .* set near_duplicates to null"
    ) as told:
        _folder(tmp_path).split("train")
    assert "source" not in str(told.value).split("; set")[1]
    with pytest.raises(ValueError, match="nothing can be held out"):
        _folder(tmp_path, source=None).split("train")
    assert _folder(tmp_path, near_duplicates=None, validation=0).split("test")


def test_one_recording_alone_cannot_be_split(tmp_path):
    _write(tmp_path, "kick/a.wav", "snare/b.wav")
    with pytest.raises(ValueError, match=r"every source is the only one of a class; set test to 0$"):
        _folder(tmp_path).split("train")


def test_no_sound(tmp_path):
    with pytest.raises(ValueError, match="no sound in folders of classes"):
        _folder(tmp_path).split("train")


def test_odd_files_are_left_out_and_named(kits):
    _write(kits / "kick", "kit0__short.wav")
    (kits / "kick" / "kit0__zero.wav").touch()
    (kits / "snare" / "kit0__text.mp3").write_text("no sound")
    soundfile.write(kits / "snare" / "kit0__silent.wav", np.zeros(800), RATE)
    soundfile.write(
        kits / "snare" / "kit0__stereo.flac", np.random.default_rng(9).normal(0, 0.1, (4410, 2)), 44100
    )
    data = _folder(kits, test=0, validation=0)
    data.setup("fit")
    left_out = data.coverage["train"].left_out
    assert left_out.keys() == {"kick/kit0__zero.wav", "snare/kit0__text.mp3", "snare/kit0__silent.wav"}
    assert "silent" in left_out["snare/kit0__silent.wav"]
    shapes = {tuple(batch.waveform.shape[1:]) for batch in data.train_dataloader()}
    assert shapes == {(1, 800)}  # another rate and more channels are brought to one


def test_files_that_were_cut_off_are_taken_where_they_are_allowed(kits):
    path = kits / "kick" / "kit0__1.wav"
    path.write_bytes(path.read_bytes()[:1000])
    for allowed, left_out in ((False, {"kick/kit0__1.wav"}), (True, set())):
        data = _folder(kits, test=0, validation=0, allow_truncated=allowed)
        data.setup("fit")
        assert data.coverage["train"].left_out.keys() == left_out


def test_training_takes_the_attack(tmp_path):
    time = np.arange(RATE) / RATE
    for name in ("a", "b", "c", "d"):
        path = tmp_path / "kick" / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.exp(-20 * time) * 0.9, RATE)
    settings = {"validation": 0, "test": 0, "near_duplicates": None}
    batch = next(iter(_folder(tmp_path, **settings).train_dataloader()))
    assert (batch.waveform.argmax(dim=-1) == 0).all()
    assert batch.waveform.amax(dim=-1).min() > 0.8
    anywhere = next(iter(_folder(tmp_path, from_start=False, **settings).train_dataloader()))
    assert anywhere.waveform.amax(dim=-1).min() < 0.5


def test_classes_of_a_file_keep_their_order(kits, tmp_path_factory):
    path = tmp_path_factory.mktemp("classes") / "classes.csv"
    path.write_text("head,index,name\nclass,0,tom\nclass,1,snare\nclass,2,kick\n")
    data = _folder(kits, classes_file=str(path))
    assert data.classes == ["tom", "snare", "kick"]
    assert {clip.target for clip in data.split("train")} == {1, 2}
    path.write_text("head,index,name\nclass,0,snare\n")
    with pytest.raises(ProtocolError, match=r"class 'kick' of kick/kit0__1\.wav is missing"):
        _folder(kits, classes_file=str(path)).split("train")


def test_scores_are_a_table_of_the_classes(kits, tmp_path_factory):
    data, path = _folder(kits), tmp_path_factory.mktemp("scores") / "test.txt"
    written = data.write_scores(path, ["a", "b,c"], np.array([[0.25, 0.75], [1, 0]]))
    assert written == path.with_suffix(".csv")
    rows = list(csv.reader(written.open()))
    assert rows == [["key", "kick", "snare"], ["a", "0.25", "0.75"], ["b,c", "1", "0"]]
    with pytest.raises(ValueError, match=r"shape \(1, 3\) where 1 clips x 2 classes"):
        data.write_scores(path, ["a"], np.ones((1, 3)))
    with pytest.raises(ValueError, match="a score of b is not finite"):
        data.write_scores(path, ["a", "b"], np.array([[0, 1], [np.nan, 1]]))


@pytest.fixture
def tagged(tmp_path) -> Path:
    """Files with tags of two columns."""
    _write(tmp_path, *(f"kit{k}__{hit}.wav" for k in range(6) for hit in range(3)))
    lines = ["file,tags,maker"]
    for k in range(6):
        lines += [f"kit{k}__0.wav,drum; dark,x", f"kit{k}__1.wav,drum,", f"kit{k}__2.wav,,y"]
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_a_list_gives_several_tags(tagged):
    data = _folder(tagged, labels="labels.csv")
    assert data.heads == {"dark": ["no dark", "dark"], "drum": ["no drum", "drum"]}
    targets = {clip.key: clip.target for name in ("train", "validation", "test") for clip in data.split(name)}
    assert [targets[f"kit3__{hit}.wav"] for hit in range(3)] == [(1, 1), (0, 1), (0, 0)]
    batch = next(iter(data.test_dataloader()))
    assert batch.target.shape == (len(batch.key), 2)
    assert batch.target.dtype == torch.int64
    both = _folder(tagged, labels="labels.csv", tag_columns=["tags", "maker"])
    assert list(both.heads) == ["dark", "drum", "x", "y"]


def test_tagged_sources_are_held_out_as_a_whole(tagged):
    keys = _keys(_folder(tagged, labels="labels.csv", validation=0.2))
    assert [len(found) for found in keys.values()] == [12, 3, 3]
    assert all(len({key.split("__")[0] for key in keys[name]}) == 1 for name in ("validation", "test"))


def test_scores_of_tags_are_of_their_presence(tagged, tmp_path_factory):
    path = tmp_path_factory.mktemp("scores") / "test.csv"
    _folder(tagged, labels="labels.csv").write_scores(path, ["a"], np.array([[0.75, 0.25, 0.125, 0.875]]))
    assert path.read_text() == "key,dark,drum\na,0.25,0.875\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,tags\na.wav,x\n", "no column 'file'"),
        ("file,tag\na.wav,x\n", "no column 'tags'"),
        ("file,tags\n../a.wav,x\n", "'../a.wav' leads out of"),
        ("file,tags\n/etc/a.wav,x\n", "'/etc/a.wav' leads out of"),
        ("file,tags\na.wav,x\na.wav,y\n", "'a.wav' occurs twice"),
        ("file,tags\n", "no sound"),
        ("file,tags\na.wav,x\nb.wav,x\n", "one tag, 'x'"),
    ],
)
def test_faulty_lists(tmp_path, text, message):
    _write(tmp_path, "a.wav", "b.wav")
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        _folder(tmp_path, labels="labels.csv", validation=0, test=0).split("train")


def test_the_demo_corpus(tmp_path):
    root = tmp_path / "one_shots"
    write_one_shots(root, num_kits=3, num_hits=2)
    data = AudioFolder(root=str(root), sample_rate=22050, train_crop_s=1.0, eval_crop_s=1.0, padding="zero")
    data.prepare_data()
    assert data.classes == ["clap", "hihat", "kick", "snare", "tom"]
    assert [len(found) for found in _keys(data).values()] == [10, 10, 10]
