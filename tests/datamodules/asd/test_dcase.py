"""DCASE Task 2: the years' layouts on disk, which clips are chosen, validation, official score files."""

import csv
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from lightning.pytorch import LightningModule, Trainer

from datamodules import DCASE
from datamodules.clips import Batch

WHOLE = {"train_crop_s": None, "eval_crop_s": None, "padding": "mirror", "num_workers": 0}


def _touch(root: Path, *names: str, rate: int = 16000) -> Path:
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / name, np.full(160, (1 + i) / 1000), rate)
    return root


def _data(root: Path, **settings) -> DCASE:
    return DCASE(root=str(root), **(WHOLE | settings))


def _keys(clips) -> list[str]:
    return [clip.key for clip in clips]


def test_demo_has_the_layout_of_2020(demo_machines) -> None:
    data = _data(demo_machines)
    assert data.instances == [
        *("ToyCar/id_01", "ToyCar/id_02", "fan/id_00", "fan/id_02", "fan/id_04"),
        *("pump/id_00", "pump/id_02", "valve/id_00", "valve/id_02"),
    ]
    train, test = data.split("train"), data.split("test")
    assert Counter(clip.target for clip in train) == {0: 54}
    assert Counter(clip.target for clip in test) == {0: 36, 1: 36}
    assert data.split("validation") == []
    assert test[-1].key == "valve/normal_id_02_00000003"
    assert test[-1].attributes == {
        "machine": "valve",
        "section": "id_02",
        "domain": "",
        "instance": "valve/id_02",
    }
    assert _data(demo_machines, subset="eval").instances == ["fan/id_01"]


def test_machine_and_id_choose_the_target(demo_machines) -> None:
    data = _data(demo_machines, machine="pump", id="id_02")
    assert data.instances == ["pump/id_02"]
    assert {clip.attributes["instance"] for clip in data.split("test")} == {"pump/id_02"}
    assert _data(demo_machines, id="id_02").instances == [
        "ToyCar/id_02",
        "fan/id_02",
        "pump/id_02",
        "valve/id_02",
    ]


@pytest.mark.parametrize("prefix", ["", "raw/", "dev_data/", "dev_data/raw/"])
def test_machines_lie_in_the_root_or_in_the_sets_folder(prefix, tmp_path) -> None:
    names = ["fan/train/normal_id_00_00000000.wav", "fan/test/anomaly_id_00_00000000.wav"]
    data = _data(_touch(tmp_path, *(prefix + name for name in names)))
    assert _keys(data.split("train")) == ["fan/normal_id_00_00000000"]
    assert [clip.target for clip in data.split("test")] == [1]


YEARS = {
    2020: (["train/normal_id_01_00000000.wav", "test/id_01_00000007.wav"], "id_01", "", -1),
    2021: (
        ["train/section_03_source_train_normal_0000_A.wav", "target_test/section_03_target_test_0001.wav"],
        *("section_03", "target", -1),
    ),
    2022: (
        ["train/section_03_target_train_normal_0000_m-n_X.wav", "test/section_03_0002.wav"],
        "section_03",
        "",
        -1,
    ),
    2023: (
        [
            "train/section_00_source_train_normal_0000_.wav",
            "test/section_00_source_test_anomaly_0001_vel_12.wav",
        ],
        *("section_00", "source", 1),
    ),
    2024: (
        [
            "train/section_00_source_train_normal_0000_noAttribute.wav",
            "test/section_00_target_normal_0091_BckgE.wav",
        ],
        *("section_00", "target", 0),
    ),
    2025: (
        [
            *("train/section_00_source_train_normal_0000_a_1.wav", "test/section_00_0000.wav"),
            "supplemental/section_00_machine_0001_.wav",
        ],
        *("section_00", "", -1),
    ),
    2026: (
        ["train/section_00_source_train_normal_0000_nzl_1_pow_1.wav", "test/section_00_0000.wav"],
        *("section_00", "", -1),
    ),
}


@pytest.mark.parametrize("year", YEARS)
def test_every_year_is_read_by_its_names(year, tmp_path) -> None:
    names, section, domain, target = YEARS[year]
    _touch(tmp_path, *(f"eval_data/bearing/{name}" for name in names))
    (tmp_path / "eval_data" / "bearing" / "train" / "readme.txt").touch()
    (tmp_path / "eval_data" / "bearing" / "train" / "._junk.wav").touch()
    data = _data(tmp_path, year=year, subset="eval")
    assert len(data.split("train")) == 1
    (clip,) = data.split("test")
    assert (clip.attributes["section"], clip.attributes["domain"], clip.target) == (section, domain, target)
    assert Path(clip.path).is_file()
    if year == 2024:
        assert data.split("train")[0].attributes["condition"] == ""
        assert clip.attributes["condition"] == "BckgE"


def test_tables_of_attributes_are_read(tmp_path) -> None:
    first, second = (
        "section_00_source_train_normal_0000_car_A1_spd_28V",
        "section_00_source_train_normal_0001_noAttribute",
    )
    _touch(tmp_path, f"dev_data/ToyCar/train/{first}.wav", f"dev_data/ToyCar/train/{second}.wav")
    table = tmp_path / "dev_data" / "ToyCar" / "attributes_00.csv"
    table.write_text(
        "file_name,d1p,d1v,d2p,d2v\n"
        f"ToyCar/train/{first}.wav,car,A1,spd,28V\nToyCar/train/{second}.wav,noAttribute,,,\n"
    )
    clips = _data(tmp_path, year=2022).split("train")
    assert (clips[0].attributes["car"], clips[0].attributes["spd"]) == ("A1", "28V")
    assert "noAttribute" not in clips[1].attributes
    table.write_text("nonsense,1\n")
    with pytest.raises(ValueError, match=r"attributes_00\.csv:1: begins with 'nonsense'"):
        _data(tmp_path, year=2022).split("train")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"year": 2019}, "year 2019 is unknown: choose one of 2020, 2021"),
        ({"machine": "toaster"}, "machine 'toaster': choose one of ToyCar, fan, pump, valve"),
        ({"machine": "pump", "id": "id_09"}, "id 'id_09': choose one of id_00, id_02, or null"),
        ({"subset": "eval", "machine": "pump"}, "choose one of fan"),
        (
            {"year": 2022},
            r"normal_id_.*\.wav: not the name of a train clip of 2022, which is section_00_source_train",
        ),
        ({"validation_fraction": 1.0}, "validation_fraction must be at least 0 and less than 1, found 1.0"),
        ({"validation_fraction": 0.99}, "leaves none of the 6 clips of ToyCar/id_01"),
    ],
)
def test_user_errors_are_one_line_with_the_way_out(settings, message, demo_machines) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        _data(demo_machines, **settings).split("train")
    assert "\n" not in str(caught.value)


def test_missing_data_tell_where_they_belong(demo_machines, tmp_path) -> None:
    with pytest.raises(
        ValueError, match=r"no training clips of the dev set of 2020: set root .*<machine>/train"
    ):
        _data(tmp_path / "nowhere").split("train")
    with pytest.raises(ValueError, match=r"no test clips of the eval set .* holds eval_data/<machine>/test"):
        _data(demo_machines, subset="eval").split("test")
    _touch(tmp_path, "fan/train/anomaly_id_00_00000000.wav")
    with pytest.raises(ValueError, match=r"anomaly_id_00_00000000\.wav: not the name of a train clip"):
        _data(tmp_path).split("train")


def test_another_rate_is_said_once(tmp_path) -> None:
    names = (
        f"fan/{kind}_id_00_0000000{i}.wav" for kind in ("train/normal", "test/anomaly") for i in range(3)
    )
    data = _data(_touch(tmp_path, *names, rate=8000), batch_size=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data.train_dataloader()
        data.val_dataloader()
    (message,) = [str(warning.message) for warning in caught if "resampled" in str(warning.message)]
    assert "has 8000 Hz: such clips are resampled to sample_rate 16000 Hz" in message


def test_validation_is_a_part_of_each_instance(demo_machines) -> None:
    data = _data(demo_machines, validation_fraction=0.3, proxy_outliers="everything", machine="fan")
    train, held_out = data.split("train"), data.split("validation")
    assert Counter(clip.attributes["instance"] for clip in held_out) == {
        "fan/id_00": 2,
        "fan/id_02": 2,
        "fan/id_04": 2,
    }
    assert not set(_keys(train)) & set(_keys(held_out))
    assert sum(clip.target == 0 for clip in train) == 12
    assert _keys(data.split("validation")) == _keys(held_out)
    other = _data(demo_machines, validation_fraction=0.3, machine="fan", seed=1)
    assert _keys(other.split("validation")) != _keys(held_out)
    tiny = _data(demo_machines, validation_fraction=0.01)
    assert len(tiny.split("validation")) == 9


def test_reference_batches_are_the_whole_normal_clips(demo_machines) -> None:
    data = _data(
        demo_machines, proxy_outliers="all", machine="ToyCar", id="id_01", train_crop_s=0.1, eval_crop_s=0.1
    )
    batches = list(data.reference_dataloader())
    assert sorted(key for batch in batches for key in batch.key) == _keys(data.split("train"))[:6]
    assert all(batch.waveform.shape[-1] == 17600 and not batch.target.any() for batch in batches)


class _Learner(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen: list[list[int]] = []

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        self.seen.append(batch.target.tolist())
        return self.layer(batch.waveform.std(dim=(1, 2))[:, None]).square().mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        raise AssertionError("there is nothing to validate on")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.parametrize("settings", [{"num_workers": 0}, {"num_workers": 2, "in_memory": True}])
def test_training_on_halves_without_validation(settings, demo_machines) -> None:
    data = _data(demo_machines, machine="fan", id="id_00", proxy_outliers="all", batch_size=8, **settings)
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_epochs=2,
    )
    module = _Learner()
    trainer.fit(module, data)
    assert module.seen == [[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1]] * 2


def test_few_normal_clips_alone_make_a_last_small_batch(demo_machines) -> None:
    data = _data(demo_machines, machine="fan", id="id_00", batch_size=4, drop_last=False)
    assert [len(batch.key) for batch in data.train_dataloader()] == [4, 2]


@pytest.mark.parametrize(("kept", "fraction", "way_out"), [(1, 0.1, "set it to 0"), (3, 0.9, "lower it")])
def test_all_clips_of_an_instance_cannot_be_held_out(kept, fraction, way_out, tmp_path) -> None:
    for number in range(kept):
        path = tmp_path / f"fan/train/normal_id_00_{number:08d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.raises(
        ValueError, match=f"leaves none of the {kept} clips of fan/id_00 for training: {way_out}"
    ):
        _data(tmp_path, validation_fraction=fraction).split("train")
    mended = {"set it to 0": 0, "lower it": 0.1}[way_out]
    assert _data(tmp_path, validation_fraction=mended).split("train")


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_scores_of_2020(demo_machines, tmp_path) -> None:
    data = _data(demo_machines, machine="fan")
    keys = _keys(data.split("test"))[::-1]
    folder = data.write_scores(tmp_path / "scores" / "test.txt", keys, [float(i) for i in range(len(keys))])
    assert folder == tmp_path / "scores" / "test"
    assert sorted(path.name for path in folder.iterdir()) == [
        f"anomaly_score_fan_{id_}.csv" for id_ in ("id_00", "id_02", "id_04")
    ]
    rows = _rows(folder / "anomaly_score_fan_id_02.csv")
    assert [name for name, _ in rows] == [
        f"{label}_id_02_{i:08d}.wav" for label in ("anomaly", "normal") for i in range(4)
    ]
    assert all(keys[int(float(score))] == f"fan/{name[:-4]}" for name, score in rows)


@pytest.mark.parametrize(
    ("year", "key", "stem"),
    [
        (2021, "fan/section_03_source_test_0001", "fan_section_03_source_test"),
        (2022, "fan/section_03_0001", "fan_section_03_test"),
        (2025, "ToyPet/section_00_target_test_normal_0001_x_0.5", "ToyPet_section_00_test"),
    ],
)
def test_scores_and_decisions_of_later_years(year, key, stem, tmp_path) -> None:
    data = _data(tmp_path, year=year)
    foreign = ["a", "/somewhere/fan/section_03_0001.wav", "fan/section_03_source_test_normal_0001_a_0.wav"]
    data.write_scores(tmp_path / "test", [key, *foreign], [0.25, 1, 2, 3], [1, 0, 0, 0])
    name = key.split("/")[1] + ".wav"
    assert _rows(tmp_path / "test" / f"anomaly_score_{stem}.csv") == [[name, "0.25"]]
    assert _rows(tmp_path / "test" / f"decision_result_{stem}.csv") == [[name, "1"]]
    assert _rows(tmp_path / "test" / "scores.csv") == [[foreign[1], "2"], ["a", "1"], [foreign[2], "3"]]
    assert len(list((tmp_path / "test").iterdir())) == 4


def test_impossible_scores_are_refused(tmp_path) -> None:
    data = _data(tmp_path)
    with pytest.raises(ValueError, match="score nan of fan/normal_id_00_00000000 is not finite"):
        data.write_scores(tmp_path / "test", ["fan/normal_id_00_00000000"], [float("nan")])
    with pytest.raises(ValueError, match="2 scores for 1 clips"):
        data.write_scores(tmp_path / "test", ["fan/normal_id_00_00000000"], [1.0], [1, 0])
