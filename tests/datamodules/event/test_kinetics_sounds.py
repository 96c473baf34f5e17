"""Kinetics-Sounds: its classes in Kinetics-400, the lists of both editions, how clips are found."""

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules import KineticsSounds
from datamodules.demo.events import write_kinetics_sounds
from datamodules.event.kinetics_sounds import CLASSES, RENAMED
from datamodules.protocol import ProtocolError

HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"


def _kinetics(root: Path, **settings: Any) -> KineticsSounds:
    defaults: dict[str, Any] = {"train_crop_s": 1, "eval_crop_s": 1, "padding": "zero", "validation": 0}
    return KineticsSounds(root=str(root), num_workers=0, **(defaults | settings))


def test_classes() -> None:
    assert len(CLASSES) == 32
    assert list(CLASSES) == sorted(set(CLASSES))
    assert RENAMED.keys() < set(CLASSES)
    assert len(_kinetics(Path(), edition="ks31").classes) == 31


def test_classes_are_those_of_the_annotations(corpora) -> None:
    with (corpora / "annotations/kinetics_sounds/ks_classes.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["kinetics400_name"]]
    for row in rows:
        name = row["kinetics400_name"]
        assert row["original_34"] == RENAMED.get(name, name)
        assert CLASSES.index(name) == int(row["index_in_32_sorted"])
        if index := row["index_in_31_sorted_(ogm_ge)"]:
            assert _kinetics(Path(), edition="ks31").classes[int(index)] == name
    assert len(rows) == 32


@pytest.mark.parametrize("prefix", ["", "kinetics-400_"])
def test_ks32_takes_its_classes_from_the_lists_of_kinetics(prefix, tmp_path) -> None:
    (tmp_path / f"{prefix}train.csv").write_text(
        HEADER + "bowling,--abcdefghi,7,17,train,0\nyoga,aaaaaaaaaaa,1,11,train,0\n"
    )
    (tmp_path / f"{prefix}val.csv").write_text(HEADER + "tickling,_bcdefghijk,0,10,val,0\n")
    for name in ("train/bowling/--abcdefghi_000007_000017.mp4", "val/tickling/_bcdefghijk_000000_000010.mkv"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    data = _kinetics(tmp_path)
    (clip,) = data.split("train")
    assert (clip.key, clip.target) == ("--abcdefghi_000007_000017", 2)
    assert clip.path == f"{tmp_path}/train/bowling/--abcdefghi_000007_000017.mp4"
    (clip,) = data.split("test")
    assert (clip.target, clip.path) == (31, f"{tmp_path}/val/tickling/_bcdefghijk_000000_000010.mkv")


@pytest.mark.parametrize("folder", ["", "test/playing_piano", "playing piano/test", "audio"])
def test_ks31_reads_the_lists_of_ogm_ge(folder, tmp_path) -> None:
    (tmp_path / "my_train.txt").write_bytes(
        b"--4-0ihtnBU_000058_000068,10,4\r\n--6q_33gNew_000132_000142,10,27\r\n"
    )
    (tmp_path / "my_test.txt").write_bytes(b"-3Mwkq-7TV4_2,10,23\r\n-7_eB7vFtB4_137,10,16\r\n")
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for name in ("-3Mwkq-7TV4_2.wav", "-7_eB7vFtB4_000137_000147.wav"):  # its own name, and that of Kinetics
        (tmp_path / folder / name).touch()
    data = _kinetics(tmp_path, edition="ks31")
    assert [(clip.key, clip.target) for clip in data.split("train")] == [
        ("--4-0ihtnBU_000058_000068", 4),
        ("--6q_33gNew_000132_000142", 27),
    ]
    data.setup("test")
    assert [(clip.key, clip.target, Path(clip.path).name) for clip in data.rows["test"]] == [
        ("-3Mwkq-7TV4_000002_000012", 23, "-3Mwkq-7TV4_2.wav"),
        ("-7_eB7vFtB4_000137_000147", 16, "-7_eB7vFtB4_000137_000147.wav"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("val.csv", "youtube_id,time_start,time_end,split\na,1,2,test\n", r"val\.csv:1: has no column label"),
        (
            "val.csv",
            f"{HEADER}bowling,abcdefghijk,1.5,11,val,0\n",
            r"val\.csv:2: from '1\.5' to '11' where whole seconds",
        ),
        ("val.csv", f"{HEADER}bowling,abcdefghijk,1\n", r"val\.csv:2: 3 columns where 6"),
        ("other.csv", HEADER, r"val\.csv: cannot be read"),
        ("my_test.txt", "abcdefghijk_2,10,31\n", r"my_test\.txt:1: abcdefghijk_2,10,31 where"),
        ("my_test.txt", "abcdefghijk,10,3\n", r"my_test\.txt:1: abcdefghijk,10,3 where"),
        ("my_test.txt", "abcdefghijk_2_3_4,10,3\n", r"my_test\.txt:1: abcdefghijk_2_3_4,10,3 where"),
    ],
)
def test_faulty_lists_are_named(name, content, message, tmp_path) -> None:
    (tmp_path / name).write_text(content)
    data = _kinetics(tmp_path, edition="ks31" if name.endswith("txt") else "ks32")
    with pytest.raises(ProtocolError, match=message) as error:
        data.split("test")
    assert "\n" not in str(error.value)


def test_real_lists(corpora, tmp_path) -> None:
    annotations = corpora / "annotations"
    shutil.copy(annotations / "kinetics400/kinetics-400_val.csv", tmp_path)
    test = _kinetics(tmp_path).split("test")
    with (annotations / "kinetics_sounds/ks32_from_kinetics400_val.csv").open() as file:
        expected = {(row["label"], row["youtube_id"]) for row in csv.DictReader(file)}
    assert {(CLASSES[int(str(clip.target))], clip.key[:11]) for clip in test} == expected
    assert len(test) == len(expected) == 1594
    for part in ("train", "test"):
        shutil.copy(annotations / f"kinetics_sounds/ogm_ge_my_{part}.txt", tmp_path / f"my_{part}.txt")
    data = _kinetics(tmp_path, edition="ks31", validation=0.05)
    assert len(data.split("test")) == 2597
    train, validation = data.split("train"), data.split("validation")
    assert len(train) + len(validation) == 14799
    assert len({clip.target for clip in validation}) == 31


def test_unknown_edition(tmp_path) -> None:
    with pytest.raises(ValueError, match="edition 'ks34' is unknown: choose ks32 or ks31"):
        _kinetics(tmp_path, edition="ks34")


def test_films_become_batches(tmp_path) -> None:
    write_kinetics_sounds(tmp_path / "KineticsSounds", num_train=6, num_test=3)
    data = _kinetics(tmp_path / "KineticsSounds", validation=0.1)
    data.setup()
    assert {split: (coverage.found, coverage.share) for split, coverage in data.coverage.items()} == {
        "train": (40, 1),
        "validation": (8, 1),
        "test": (24, 1),
    }
    batch = next(iter(data.test_dataloader()))
    assert batch.waveform.shape == (24, 1, 16000)
    assert torch.isfinite(batch.waveform).all()
