"""Complete lists of names of DCASE Task 2 are read, and tell as many classes as their authors counted.

Needs files that are no part of this project: ASDKIT_REFERENCE (clone of TakuyaFujimura/dcase-asd-toolkit, of which
``labels/dcase202{3,4}/main.json``), DCASE2026_NAMES (clone of outman-goutian/dcase2026_task2, of which ``data/*.scp``)
and DCASE_BASELINE_REFERENCE (clone of nttcslab/dcase2023_task2_baseline_ae, of which ``datasets``).
"""

import json
from collections import Counter
from pathlib import Path

import pytest

from datamodules.asd.dcase_attributes import condition_pairs, read_attributes
from datamodules.asd.dcase_layouts import Layout
from lightning_modules.metrics.dcase_ground_truth import read_ground_truth
from tests.reference.published import reference

ClassOf = tuple[str, ...]


def classes(year: int, paths: list[Path], *, domain: bool = True) -> Counter[ClassOf]:
    """Clips of each machine, section, condition and, if asked for, domain; every name is normal and of training."""
    layout, columns = (
        Layout(year, Path()),
        ("machine", "section", "condition", *(("domain",) if domain else ())),
    )
    found: Counter[ClassOf] = Counter()
    for path in paths:
        target, attributes = layout.parse(str(path), path.parts[-3], "train")
        assert target == 0
        found[tuple(attributes[name] for name in columns)] += 1
    return found


@pytest.mark.parametrize(("year", "num_clips", "num_classes"), [(2023, 16_800, 167), (2024, 19_200, 148)])
def test_lists_of_the_toolkit(year, num_clips, num_classes):
    content = json.loads((reference("ASDKIT_REFERENCE") / f"labels/dcase{year}/main.json").read_text())
    paths = [Path(name) for name in content["path2idx_dict"]]
    assert len(paths) == num_clips
    train = [path for path in paths if path.parent.name == "train"]
    assert len(classes(year, train)) == num_classes == content["num_class_train"]
    for path in paths:
        if path.parent.name != "train":
            target, attributes = Layout(year, Path()).parse(str(path), path.parts[-3], "test")
            assert target == ("_anomaly_" in path.name)
            assert attributes["domain"] in ("source", "target")


def test_names_of_2026():
    lists = {
        name: [
            Path(line.split("\t")[1])
            for line in (reference("DCASE2026_NAMES") / f"data/{name}.scp").read_text().splitlines()
        ]
        for name in ("train", "test_dev", "test_final")
    }
    assert {name: len(paths) for name, paths in lists.items()} == {
        "train": 12_000,
        "test_dev": 1_400,
        "test_final": 1_000,
    }
    assert len(classes(2026, lists["train"])) == 80
    assert len(classes(2026, lists["train"], domain=False)) == 71
    layout = Layout(2026, Path())
    labels = Counter(layout.parse(str(path), path.parts[-3], "test")[0] for path in lists["test_dev"])
    assert labels == {0: 700, 1: 700}
    assert {layout.parse(str(path), path.parts[-3], "test")[0] for path in lists["test_final"]} == {-1}
    repeated = "car_B1_spd_2_mic_2_mic_1"
    conditions = {condition for *_, condition, _ in classes(2026, lists["train"])}
    assert repeated in conditions
    assert condition_pairs(repeated) == {"car": "B1", "spd": "2", "mic": "2", "mic_2": "1"}


@pytest.mark.parametrize(("year", "num_clips"), [(2021, 8635), (2023, 1400), (2024, 1800), (2025, 1600)])
def test_lists_of_the_organisers_agree_with_themselves(year, num_clips):
    truth = read_ground_truth(reference("DCASE_BASELINE_REFERENCE") / f"datasets/eval_data_list_{year}.csv")
    assert len(truth.clips) == num_clips


def test_the_list_of_2022_with_wrong_labels_is_refused():
    with pytest.raises(ValueError, match="608 wrong labels of ToyCar and ToyTrain"):
        read_ground_truth(reference("DCASE_BASELINE_REFERENCE") / "datasets/eval_data_list_2022.csv")


def test_all_hidden_attributes_are_read():
    folders = sorted(
        (reference("DCASE_BASELINE_REFERENCE") / "datasets/ground_truth_attributes").glob("*/*/*")
    )
    found = {
        folder.relative_to(folder.parents[2]).as_posix(): read_attributes(folder, hidden=True).hidden
        for folder in folders
    }
    assert len(found) == 14
    assert all(found.values())
    bearing = found["dcase2025t2/dev_data/bearing"]
    assert bearing["section_00_source_train_normal_0000_noAttribute"] == "pro_A_vel_12_loc_B"
