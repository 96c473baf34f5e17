"""Which sounds stand in for anomalies: sets a to f of the paper, their size, their faults."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from datamodules import DCASE


def _proxies(
    root: Path, kind, *, machine: str | None = "fan", section: str | None = "id_00", **settings
) -> list:
    data = DCASE(root=str(root), machine=machine, id=section, proxy_outliers=kind, **settings)
    clips = data.split("train")
    normals = [clip for clip in clips if clip.target == 0]
    assert clips[: len(normals)] == normals
    assert {clip.attributes["instance"] for clip in normals} == set(data.instances)
    return clips[len(normals) :]


FANS, MIMII = (
    {"fan/id_01", "fan/id_02", "fan/id_04"},
    {"pump/id_00", "pump/id_02", "valve/id_00", "valve/id_02"},
)
TOYS = {"ToyCar/id_01", "ToyCar/id_02"}


@pytest.mark.parametrize(
    ("kind", "instances"),
    [
        ("same_type", FANS),
        ("other_types", MIMII),
        ("all", FANS | MIMII),
        ("other_corpus", TOYS),
        ("everything", FANS | MIMII | TOYS),
    ],
)
def test_sets_of_machines(kind, instances, demo_machines) -> None:
    proxies = _proxies(demo_machines, kind)
    assert Counter(clip.attributes["instance"] for clip in proxies) == dict.fromkeys(instances, 6)
    assert {clip.target for clip in proxies} == {1}


def test_no_target_is_a_proxy(demo_machines) -> None:
    assert {clip.attributes["instance"] for clip in _proxies(demo_machines, "everything", section=None)} == (
        MIMII | TOYS | {"fan/id_01"}
    )
    assert {
        clip.attributes["instance"]
        for clip in _proxies(demo_machines, "everything", machine=None, section=None)
    } == {"fan/id_01"}


def test_recording_conditions_can_be_named(demo_machines) -> None:
    named = {"fan": "hall", "ToyCar": "hall"}
    found = {
        clip.attributes["machine"] for clip in _proxies(demo_machines, "all", recording_conditions=named)
    }
    assert found == {"fan", "ToyCar"}
    found = {
        clip.attributes["machine"]
        for clip in _proxies(demo_machines, "other_corpus", recording_conditions=named)
    }
    assert found == {"pump", "valve"}


def test_a_number_is_drawn_by_seed_without_repetition(demo_machines) -> None:
    keys = [clip.key for clip in _proxies(demo_machines, "all", num_proxy_outliers=10)]
    assert len(set(keys)) == 10
    assert keys == [clip.key for clip in _proxies(demo_machines, "all", num_proxy_outliers=10)]
    assert keys != [clip.key for clip in _proxies(demo_machines, "all", num_proxy_outliers=10, seed=1)]
    fewer = {clip.key for clip in _proxies(demo_machines, "all", num_proxy_outliers=9)}
    assert not fewer < set(keys)  # its own draw, not a part of the larger one
    assert len(_proxies(demo_machines, "all", num_proxy_outliers=42)) == 42


@pytest.mark.parametrize("number", [0, -1])
def test_impossible_numbers_are_refused(number, demo_machines) -> None:
    with pytest.raises(ValueError, match=f"num_proxy_outliers {number}: choose a number from 1"):
        _proxies(demo_machines, "all", num_proxy_outliers=number)


def test_more_than_there_are_takes_all_and_says_so(demo_machines) -> None:
    with pytest.warns(
        UserWarning, match="num_proxy_outliers 43: proxy_outliers all has 42 clips here, all are taken"
    ):
        assert len(_proxies(demo_machines, "all", num_proxy_outliers=43)) == 42


def test_an_empty_set_tells_what_there_is(demo_machines) -> None:
    with pytest.raises(
        ValueError, match=r"proxy_outliers other_types: none for ToyCar/id_01 among .* fan/id_00"
    ):
        _proxies(demo_machines, "other_types", machine="ToyCar", section="id_01")


def _write(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(100), 16000)


@pytest.mark.parametrize("kind", ["folder", "audioset"])
def test_foreign_folders_are_searched_in_depth(kind, demo_machines, tmp_path) -> None:
    _write(tmp_path / "clips" / "b" / "one.wav", tmp_path / "clips" / "a.flac")
    (tmp_path / "clips" / "list.csv").touch()
    proxies = _proxies(demo_machines, kind, proxy_root=str(tmp_path / "clips"))
    assert [clip.key for clip in proxies] == ["clips/a.flac", "clips/b/one.wav"]
    assert set(proxies[0].attributes.values()) == {""}
    assert len(_proxies(demo_machines, kind, proxy_root=str(tmp_path / "clips"), num_proxy_outliers=1)) == 1


def test_short_clips_of_audioset_are_left_out(demo_machines, tmp_path) -> None:
    for seconds in (9.75, 9.76, 10.0):
        soundfile.write(tmp_path / f"{seconds}.wav", np.zeros(round(seconds * 8000)), 8000)
    settings = {"machine": "fan", "id": "id_00", "proxy_root": str(tmp_path), "num_workers": 0}
    data = DCASE(root=str(demo_machines), proxy_outliers="audioset", **settings)
    with pytest.warns(
        UserWarning, match=r"1 of 3 clips of AudioSet are left out, e\.g\. .*9\.75\.wav: lasts 9\.75 s"
    ):
        data.setup("fit")
    assert [Path(clip.path).stem for clip in data.rows["train"] if clip.target == 1] == ["10.0", "9.76"]
    data = DCASE(root=str(demo_machines), proxy_outliers="folder", **settings)
    data.setup("fit")
    assert sum(clip.target == 1 for clip in data.rows["train"]) == 3


def test_scenes_are_the_training_part_where_it_is_named(demo_machines, tmp_path) -> None:
    _write(*(tmp_path / "audio" / f"{name}.wav" for name in "abc"))
    _write(tmp_path / "elsewhere.wav")
    assert len(_proxies(demo_machines, "tau", proxy_root=str(tmp_path))) == 3
    table = tmp_path / "evaluation_setup" / "fold1_train.csv"
    table.parent.mkdir()
    table.write_text("filename\tscene_label\naudio/c.wav\tbus\naudio/a.wav\tpark\n")
    proxies = _proxies(demo_machines, "tau", proxy_root=str(tmp_path))
    assert [Path(clip.path).name for clip in proxies] == ["a.wav", "c.wav"]
    table.write_text("filename\tscene_label\n")
    with pytest.raises(ValueError, match=r"fold1_train\.csv: names no clip"):
        _proxies(demo_machines, "tau", proxy_root=str(tmp_path))


@pytest.mark.parametrize("kind", ["folder", "tau", "audioset"])
def test_missing_and_empty_folders_are_named(kind, demo_machines, tmp_path) -> None:
    with pytest.raises(ValueError, match=f"proxy_root None: no such folder: proxy_outliers {kind} needs"):
        _proxies(demo_machines, kind)
    with pytest.raises(ValueError, match=f"nowhere: no such folder: proxy_outliers {kind}"):
        _proxies(demo_machines, kind, proxy_root=str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=f"no audio file for proxy_outliers {kind}"):
        _proxies(demo_machines, kind, proxy_root=str(tmp_path))
