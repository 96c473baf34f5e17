"""Demo corpora of 2021 to 2026 have their years' layouts; those of 2026 have two channels that differ."""

from collections import Counter

import numpy as np
import pytest
import soundfile

from datamodules import DCASE
from datamodules.demo.machines_of_years import YEARS, make_demo_of
from lightning_modules.metrics.dcase_ground_truth import read_ground_truth


def data(root, **settings) -> DCASE:
    return DCASE(root=str(root), train_crop_s=None, eval_crop_s=None, num_workers=0, **settings)


@pytest.mark.parametrize("year", YEARS)
def test_a_corpus_is_read_as_that_of_its_year(year, tmp_path):
    make_demo_of(year, tmp_path / "demo", seconds=0.1, num_train=3, num_test=1)
    dev, evaluation = (data(tmp_path / "demo", year=year, subset=subset) for subset in ("dev", "eval"))
    assert len(dev.instances) == 3
    assert Counter(clip.target for clip in dev.split("test")) == {0: 6, 1: 6}
    blind = evaluation.split("test")
    assert {clip.target for clip in blind} == {-1}
    truth = read_ground_truth(tmp_path / f"demo/eval_data_list_{year}.csv")
    assert truth.clips.keys() == {clip.key for clip in blind}
    assert sum(each.is_anomaly for each in truth.clips.values()) == len(blind) / 2


def test_of_2026_the_far_channel_has_less_of_the_machine(demo_machines_2026):
    module = data(demo_machines_2026, year=2026, additional_training=True)
    assert module.instances == [
        *(
            "Sander/section_00",
            "ToyCar/section_00",
            "ToyDrone/section_00",
            "fan/section_00",
            "valveEmu/section_00",
        ),
    ]
    assert {clip.attributes["mic_2"] for clip in module.split("train") if "mic_2" in clip.attributes} == {"2"}
    for clip in module.split("train")[::12]:
        samples, _ = soundfile.read(clip.path)
        assert samples.shape == (12800, 2)
        correlation = np.corrcoef(samples.T)[0, 1]
        assert 0.1 < correlation < 0.9, "both hear the noise of the place"


def test_the_default_place_of_a_year_is_made_and_no_other(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    made = []
    monkeypatch.setattr(
        "datamodules.asd.dcase.make_demo_of", lambda year, folder: made.append((year, str(folder)))
    )
    data("data/demo/DCASE2026", year=2026).prepare_data()
    data("data/demo/DCASE2026", year=2025).prepare_data()
    assert made == [(2026, "data/demo/DCASE2026")]
