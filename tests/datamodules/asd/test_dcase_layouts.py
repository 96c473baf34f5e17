"""Beside the clips of DCASE Task 2: renamed tests, supplemental clips, tables, hidden attributes; and other corpora."""

import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from datamodules import DCASE, ClipList
from datamodules.asd.dcase_attributes import condition_pairs

TRAIN = "section_00_source_train_normal_0000"


def touch(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / name, np.full(160, (1 + number) / 1000), 16000)
    return root


def data(root: Path, **settings: Any) -> DCASE:
    return DCASE(root=str(root), train_crop_s=None, eval_crop_s=None, num_workers=0, **settings)


def test_renamed_tests_have_labels_and_true_names(tmp_path):
    machine = "eval_data/raw/Sander"
    touch(tmp_path, f"{machine}/train/{TRAIN}_.wav", f"{machine}/test/section_00_0000.wav")
    module = data(tmp_path, year=2026, subset="eval")
    assert [(clip.key, clip.target) for clip in module.split("test")] == [("Sander/section_00_0000", -1)]
    touch(tmp_path, f"{machine}/test_rename/section_00_target_test_anomaly_0031_grit_2.wav")
    (clip,) = data(tmp_path, year=2026, subset="eval").split("test")
    assert (clip.key, clip.target) == ("Sander/section_00_target_test_anomaly_0031_grit_2", 1)
    assert (clip.attributes["domain"], clip.attributes["condition"]) == ("target", "grit_2")


def test_clips_of_2021_may_be_merged_or_not(tmp_path):
    names = ["source_test/section_03_source_test_0000.wav", "target_test/section_03_target_test_0000.wav"]
    touch(tmp_path, *(f"eval_data/fan/{name}" for name in names))
    keys = [clip.key for clip in data(tmp_path, year=2021, subset="eval").split("test")]
    assert keys == ["fan/section_03_source_test_0000", "fan/section_03_target_test_0000"]
    touch(tmp_path, *(f"eval_data/fan/test/{Path(name).name}" for name in names))
    assert [clip.key for clip in data(tmp_path, year=2021, subset="eval").split("test")] == keys


def test_clean_supplemental_sounds_are_normal_where_they_are_asked_for(tmp_path, capsys):
    machine = "dev_data/raw/AutoTrash"
    names = ("section_00_machine_0001_.wav", "section_00_noise_0001_.wav")
    touch(tmp_path, f"{machine}/train/{TRAIN}_.wav", *(f"{machine}/supplemental/{name}" for name in names))
    assert [clip.key for clip in data(tmp_path, year=2025).split("train")] == [f"AutoTrash/{TRAIN}_"]
    both = data(tmp_path, year=2025, supplemental=True).split("train")
    assert [clip.key for clip in both] == [f"AutoTrash/{TRAIN}_", "AutoTrash/section_00_machine_0001_"]
    assert (both[1].target, both[1].attributes["condition"]) == (0, "supplemental")
    assert both[1].attributes["instance"] == "AutoTrash/section_00"
    touch(tmp_path, f"{machine}/supplemental/odd.wav")
    with pytest.raises(
        ValueError, match=r"odd\.wav: not the name of a supplemental clip, which is section_00_mach"
    ):
        data(tmp_path, year=2025, supplemental=True).split("train")


@pytest.fixture
def hidden(tmp_path) -> Path:
    """A machine of 2025 whose attributes are hidden, and the organisers' files of them."""
    names = [f"train/{TRAIN}_noAttribute.wav", "test/section_00_0095.wav"]
    touch(tmp_path, *(f"dev_data/raw/bearing/{name}" for name in names))
    folder = tmp_path / "dev_data/raw/bearing"
    (folder / "attributes_00.csv").write_text(f"file_name,d1p,d1v\nbearing/{names[0]},noAttribute,\n")
    head = "source_file_name,target_file_name\n"
    (folder / "attributes_00_train_correspondence.csv").write_text(
        f"{head}{TRAIN}_pro_A_vel_12.wav,{TRAIN}_noAttribute.wav\n"
    )
    (folder / "attributes_00_test_correspondence.csv").write_text(
        f"{head}section_00_source_test_anomaly_0001_pro_B_vel_8.wav,section_00_0095.wav\n"
    )
    return tmp_path


def test_hidden_attributes_count_where_they_are_asked_for(hidden):
    (clip,) = data(hidden, year=2025).split("train")
    assert clip.attributes["condition"] == ""
    module = data(hidden, year=2025, hidden_attributes=True)
    (clip,) = module.split("train")
    assert clip.attributes["condition"] == "pro_A_vel_12"
    assert (clip.attributes["pro"], clip.attributes["vel"]) == ("A", "12")
    (clip,) = module.split("test")  # of the test's file no label and no domain is taken
    assert (clip.target, clip.attributes["domain"], clip.attributes["vel"]) == (-1, "", "8")


def test_hidden_attributes_that_contradict_a_name_are_refused(hidden):
    path = hidden / "dev_data/raw/bearing/attributes_00_train_correspondence.csv"
    path.write_text(path.read_text().replace("source_train_normal_0000_pro", "target_train_normal_0000_pro"))
    with pytest.raises(
        ValueError,
        match=rf"{path}:2: {TRAIN}_noAttribute is normal and of target by this file, normal and of source",
    ):
        data(hidden, year=2025, hidden_attributes=True).split("train")
    path.write_text("nonsense.wav,section_00_0000.wav\n")
    with pytest.raises(
        ValueError, match=r":1: nonsense is no true name, which is section_00_source_train_normal"
    ):
        data(hidden, year=2025, hidden_attributes=True).split("train")
    path.rename(path.with_name("attributes_hidden.csv"))
    with pytest.raises(
        ValueError, match=r"attributes_hidden\.csv: neither attributes_00\.csv nor attributes_00_tr"
    ):
        data(hidden, year=2025).split("train")


def test_equal_names_of_attributes_keep_their_values(tmp_path):
    stem = f"{TRAIN}_car_B1_mic_2_mic_1"
    touch(tmp_path, f"dev_data/raw/ToyCar/train/{stem}.wav")
    table = "file_name,d1p,d1v,d2p,d2v,d3p,d3v\n" + f"ToyCar/train/{stem}.wav,car,B1,mic,2,mic,1\n"
    (tmp_path / "dev_data/raw/ToyCar/attributes_00.csv").write_text(table)
    (clip,) = data(tmp_path, year=2026).split("train")
    assert {name: clip.attributes[name] for name in ("car", "mic", "mic_2")} == {
        "car": "B1",
        "mic": "2",
        "mic_2": "1",
    }
    assert condition_pairs("car_B1_mic_2_mic_1") == {"car": "B1", "mic": "2", "mic_2": "1"}
    assert condition_pairs("BckgE") == {}


def test_a_table_that_contradicts_names_is_told_and_not_believed(tmp_path):
    stems = [f"section_00_source_train_normal_000{number}_spd_1_mic_2" for number in range(2)]
    touch(tmp_path, *(f"dev_data/raw/fan/train/{stem}.wav" for stem in stems))
    table = tmp_path / "dev_data/raw/fan/attributes_00.csv"
    table.write_text(
        "file_name,d1p,d1v\n" + "".join(f"fan/train/{stem}.wav,spd,9,load,3\n" for stem in stems)
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clips = data(tmp_path, year=2023).split("train")
    (message,) = [str(each.message) for each in caught if "attributes_00" in str(each.message)]
    assert message == (
        f"{table}:2: spd is 9, and 1 by the name of {stems[0]}; 2 such clips: the names count, compare the table with"
        " the data set's own"
    )
    assert {(clip.attributes["spd"], clip.attributes["load"]) for clip in clips} == {("1", "3")}


ORIGINAL = {
    "-6_dB_fan": [
        "fan/id_00/normal/00000000.wav",
        *(
            "fan/id_00/normal/00000001.wav",
            "fan/id_00/normal/00000002.wav",
            "fan/id_00/abnormal/00000000.wav",
        ),
    ],
    "fan": [*(f"id_00/normal/0000000{i}.wav" for i in range(3)), "id_00/abnormal/00000000.wav"],
    "MIMII": [
        *(f"-6_dB_fan/fan/id_00/normal/0000000{i}.wav" for i in range(3)),
        "-6_dB_fan/fan/id_00/abnormal/1.wav",
    ],
    "ToyADMOS": [
        *(f"ToyCar/case1/NormalSound_IND/11000{i}_ToyCar_case1_normal_IND_ch1_000{i}.wav" for i in range(3)),
        "ToyCar/case1/AnomalousSound_IND/1200010001_ToyCar_case1_ab01_IND_ch1_0001.wav",
    ],
    "ToyADMOS2": [
        *(f"toyad2_car_A1_normal/CN001-carA1-speed1_mic1_0000{i}.wav" for i in range(3)),
        "toyad2_car_A_anomaly/CA001-carA1-speed1-a-damageL_mic1_00001.wav",
    ],
}


@pytest.mark.parametrize("name", ORIGINAL)
def test_corpora_in_their_authors_layouts_end_in_the_command_that_reads_them(name, tmp_path):
    root = touch(tmp_path / name, *ORIGINAL[name])
    with pytest.raises(ValueError, match="as its authors lay it out: --data=ClipList") as caught:
        data(root).split("train")
    assert "\n" not in str(caught.value)
    message = str(caught.value).partition(";")[0]
    settings: dict[str, Any] = {
        option: yaml.safe_load(re.sub(r"^'|'$", "", value))
        for option, value in re.findall(r"--data\.(\w+)=('[^']*'|\S+)", message)
    }
    assert settings.pop("root") == str(root)
    module = ClipList(root=str(root), test=0.4, validation=0, near_duplicates=None, num_workers=0, **settings)
    assert module.is_of_machines
    module.setup()
    classes = module.target_names["class"]
    targets = {split: module.rows[split].targets.tolist() for split in ("train", "test")}
    assert Counter(classes[target] for each in targets.values() for target in each) == {
        "normal": 3,
        "anomaly": 1,
    }
    assert {classes[target] for target in targets["train"]} == {"normal"}
    if name != "ToyADMOS2":
        machine, section = {"fan": ("fan", "id_00"), "ToyADMOS": ("ToyCar", "case1")}.get(
            name, ("fan", "id_00")
        )
        (instance,) = {clip.attributes["instance"] for clip in module.rows["train"]}
        assert instance == f"{machine}/{section}"
